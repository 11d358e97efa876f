// pgx, whose tests `./dev conformance postgres pgx` runs. This release builds with Debian's Go (1.19).
module foreshadow/tools/conformance/postgres/pgx

go 1.19

require github.com/jackc/pgx/v5 v5.5.5
