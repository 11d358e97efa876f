"""nginx with the headers that our gateway adds, connections to the service kept, no log; mirroring by its mirror module.

It serves from its single process: the event loop is a worker's, and no worker can outlive a benchmark that was killed.
"""

import subprocess

from peer import CONNECTIONS_MAX, MIRROR_TIMEOUT, Peer

CONFIG = """\
daemon off;
master_process off;
pid nginx.pid;
error_log stderr error;
events {{ worker_connections {connections_max}; }}
http {{
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  keepalive_timeout 300s;
  keepalive_requests 1000000000;
  tcp_nodelay on;
  # Answers of 64 KB in memory: by default they would pass through a file.
  proxy_buffer_size 16k;
  proxy_buffers 8 16k;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header Via "1.1 nginx";
  proxy_read_timeout 30s;
  upstream service {{ server 127.0.0.1:{backend}; keepalive 256; keepalive_requests 1000000000; }}
{shadow_upstream}
  server {{
    listen 127.0.0.1:{port};
    location / {{
{mirror}
      add_header Via "1.1 nginx" always;
      proxy_pass http://service;
    }}
{shadow_location}
  }}
}}
"""
SHADOW_UPSTREAM = "  upstream shadow {{ server 127.0.0.1:{shadow}; keepalive 256; keepalive_requests 1000000000; }}"
SHADOW_LOCATION = """\
    location = /shadow {{
      internal;
      proxy_connect_timeout {timeout};
      proxy_send_timeout {timeout};
      proxy_read_timeout {timeout};
      proxy_set_header Foreshadow-Mirror 1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header Via "1.1 nginx";
      proxy_pass http://shadow$request_uri;
    }}"""


class Nginx(Peer):
    name = "nginx"

    def argv(self, directory, port, backend, shadow):
        config = directory / "nginx.conf"
        config.write_text(CONFIG.format(
            port=port, backend=backend, connections_max=CONNECTIONS_MAX,
            mirror="      mirror /shadow;" if shadow else "",
            shadow_upstream=SHADOW_UPSTREAM.format(shadow=shadow) if shadow else "",
            shadow_location=SHADOW_LOCATION.format(timeout=MIRROR_TIMEOUT) if shadow else ""))
        return ["/usr/sbin/nginx", "-p", directory, "-c", config, "-e", "stderr"]

    def version(self):
        return subprocess.run(["/usr/sbin/nginx", "-v"], capture_output=True, text=True).stderr.strip()
