"""HAProxy with the headers that our gateway adds, connections to the service reused.

Its access log goes to its standard output, which is a file: a line a system call, for it has no buffer of its own. Its other
ways lead to a syslog server, whose work would be left out of the count.
"""

import subprocess

from peer import CONNECTIONS_MAX, Peer

CONFIG = """\
global
  nbthread {threads}
  # It asks for two descriptors a connection; what the machine allows is enough here.
  no strict-limits
  maxconn {connections_max}
{log_to}
defaults
  mode http
  http-reuse always
  option forwardfor
  timeout connect 5s
  timeout client 5m
  timeout http-keep-alive 5m
  timeout server 30s
frontend clients
  bind 127.0.0.1:{port}{tls}
{log_format}
  default_backend service
backend service
  http-request set-header X-Forwarded-Proto {scheme}
  http-request add-header Via "1.1 haproxy"
  http-response add-header Via "1.1 haproxy"
  server primary 127.0.0.1:{backend}
"""
LOG_TO = "  log stdout len 2048 format raw local0"
# In the order of our own line (docs/observability.md), as far as it knows.
LOG_FORMAT = """\
  log global
  log-format '{"time":"%tr","resource":"%ft","segment":"%b","instance":"%s","client":"%ci",\
"tls":"%sslv","version":"%HV","method":"%HM","target":"%HP","status":%ST,"bytes_in":%U,"bytes_out":%B,"total_ms":%Ta,"wait_ms":%Tw,\
"first_byte_ms":%Tr,"retried":%rc,"error":"%tsc"}'"""


class HAProxy(Peer):
    name = "haproxy"
    # Only through an agent of its own (SPOE), which is another program.
    mirrors = False
    logs_to_output = True

    def argv(self, directory, setup):
        config = directory / "haproxy.cfg"
        config.write_text(CONFIG.format(
            port=setup.port, backend=setup.backend, connections_max=CONNECTIONS_MAX, threads=setup.threads, scheme=setup.wire.scheme,
            tls=f" ssl crt {setup.certificate.both} alpn h2,http/1.1" if setup.wire.tls else "",
            log_to=LOG_TO if setup.access_log else "", log_format=LOG_FORMAT if setup.access_log else ""))
        return ["/usr/sbin/haproxy", "-db", "-f", config]

    def version(self):
        return subprocess.run(["/usr/sbin/haproxy", "-v"], capture_output=True, text=True).stdout.splitlines()[0]
