"""HAProxy with the headers that our gateway adds, connections to the service reused, no log."""

import subprocess

from peer import CONNECTIONS_MAX, Peer

CONFIG = """\
global
  nbthread 1
  # It asks for two descriptors a connection; what the machine allows is enough here.
  no strict-limits
  maxconn {connections_max}
defaults
  mode http
  http-reuse always
  option forwardfor
  timeout connect 5s
  timeout client 5m
  timeout http-keep-alive 5m
  timeout server 30s
frontend clients
  bind 127.0.0.1:{port}
  default_backend service
backend service
  http-request set-header X-Forwarded-Proto http
  http-request add-header Via "1.1 haproxy"
  http-response add-header Via "1.1 haproxy"
  server primary 127.0.0.1:{backend}
"""


class HAProxy(Peer):
    name = "haproxy"
    # Only through an agent of its own (SPOE), which is another program.
    mirrors = False

    def argv(self, directory, port, backend, shadow):
        config = directory / "haproxy.cfg"
        config.write_text(CONFIG.format(port=port, backend=backend, connections_max=CONNECTIONS_MAX))
        return ["/usr/sbin/haproxy", "-db", "-f", config]

    def version(self):
        return subprocess.run(["/usr/sbin/haproxy", "-v"], capture_output=True, text=True).stdout.splitlines()[0]
