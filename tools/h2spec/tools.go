//go:build tools

// Package tools pins h2spec and what it is made of: the versions stand in go.mod, their sums in go.sum.
package tools

import _ "github.com/summerwind/h2spec/cmd/h2spec"
