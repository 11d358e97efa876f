"""Where our codec and llhttp's tests differ, and why. Every difference must be here, as it is: a new one fails the test,
and so does one that went away. `we refuse` and `we take` tell ours; places are file:line of llhttp's headings."""

# Why ours stands. Refusing what the RFCs let a recipient repair is by choice: what two parsers can read differently is
# how requests are smuggled.
REASONS = {
    "blank": "RFC 9112, 2.2: one empty line before a request is forgiven, as it asks; more are not, and none before an "
             "answer, of which it does not speak.",
    "methods": "RFC 9110, 9.1: a method is any token, and the service decides. llhttp knows a fixed list.",
    "asterisk": "RFC 9112, 3.2.4: '*' is the target of a server-wide OPTIONS and of nothing else.",
    "connect": "RFC 9110, 9.3.6: CONNECT is for forward proxies; this is a gateway and answers 501.",
    "protocol": "RFC 9112, 2.3: the protocol's name is HTTP. llhttp reads RTSP and ICE too.",
    "version": "RFC 9112, 2.3: HTTP/1.x alone. A request of HTTP/0.9 has no version at all.",
    "fragment": "RFC 9112, 3.2: a fragment is no part of a target.",
    "userinfo": "RFC 9110, 4.2.4: userinfo in a target from elsewhere is to be taken as an error.",
    "path": "RFC 9112, 3.2.2 allows an absolute target with a query and no path; a service's target begins with '/' "
            "(3.2.1), and we put nothing into a target.",
    "origin-form": "RFC 9112, 3.2.1: what goes on to the service is in origin-form, so that is how we read it.",
    "trailer": "RFC 9110, 6.5.1: fields that say how to read the content must not come behind it.",
    "request-codings": "RFC 9112, 6.1: 501 for a coding that is not understood; chunked is the only one.",
    "answer-codings": "RFC 9110, 10.1.4: no other coding was asked for, as TE is never sent on. llhttp reads such an "
                      "answer to the end of the connection.",
    "one-field": "RFC 9112, 6.1 would join the fields to a list; one parser that takes the first and another that takes "
                 "the last is how requests are smuggled.",
    "closes": "RFC 9112, 9.6: behind a message that closes its connection nothing is read.",
    "harness": "llhttp's test has its parser skip a request's body, which nobody here can ask for.",
}

DIFFERENCES = {
    "request/connection.md:107": ("we read it otherwise", "closes"),
    "request/connection.md:156": ("we refuse: empty lines before the request", "blank"),
    "request/connection.md:392": ("we read it otherwise", "closes"),
    "request/content-length.md:444": ("we read it otherwise", "harness"),
    "request/invalid.md:66": ("we take what is: Invalid method for HTTP/x.x request", "methods"),
    "request/invalid.md:356": ("we take what is: Expected space after method", "methods"),
    "request/method.md:27": ("we refuse: CONNECT is not offered", "connect"),
    "request/method.md:62": ("we refuse: CONNECT is not offered", "connect"),
    "request/method.md:96": ("we refuse: CONNECT is not offered", "connect"),
    "request/method.md:135": ("we refuse: '*' is a target for OPTIONS only", "asterisk"),
    "request/method.md:372": ("we refuse: malformed HTTP version", "protocol"),
    "request/method.md:400": ("we refuse: malformed HTTP version", "protocol"),
    "request/method.md:430": ("we refuse: malformed HTTP version", "protocol"),
    "request/method.md:458": ("we refuse: '*' is a target for OPTIONS only", "asterisk"),
    "request/sample.md:314": ("we refuse: malformed request line", "version"),
    "request/transfer-encoding.md:186": ("we refuse: forbidden trailer field", "trailer"),
    "request/transfer-encoding.md:751": ("we refuse: only the chunked transfer coding is done", "request-codings"),
    "request/transfer-encoding.md:793": ("we refuse: more than one Transfer-Encoding", "one-field"),
    "request/uri.md:52": ("we refuse: absolute target without a path", "path"),
    "request/uri.md:75": ("we refuse: absolute target without a path", "path"),
    "request/uri.md:125": ("we read it otherwise", "origin-form"),
    "request/uri.md:165": ("we refuse: malformed request target", "fragment"),
    "request/uri.md:188": ("we refuse: CONNECT is not offered", "connect"),
    "request/uri.md:222": ("we refuse: malformed authority in the target", "userinfo"),
    "response/connection.md:191": ("we read it otherwise", "closes"),
    "response/connection.md:260": ("we read it otherwise", "closes"),
    "response/connection.md:492": ("we refuse: empty line before the status line", "blank"),
    "response/connection.md:586": ("we refuse: empty line before the status line", "blank"),
    "response/pipelining.md:4": ("we refuse: empty line before the status line", "blank"),
    "response/sample.md:40": ("we refuse: malformed or unknown version in the status line", "protocol"),
    "response/sample.md:60": ("we refuse: malformed status line", "protocol"),
    "response/sample.md:645": ("we refuse: malformed or unknown version in the status line", "version"),
    "response/sample.md:695": ("we refuse: empty line before the status line", "blank"),
    "response/transfer-encoding.md:43": ("we refuse: only the chunked transfer coding is done", "answer-codings"),
    "response/transfer-encoding.md:74": ("we refuse: more than one Transfer-Encoding", "one-field"),
    "response/transfer-encoding.md:110": ("we refuse: only the chunked transfer coding is done", "answer-codings"),
}
