"""nginx with the headers that our gateway adds, connections to the service kept; mirroring by its mirror module.

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
{log_format}
  access_log {access_log};
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
    listen 127.0.0.1:{port}{listen};
{certificate}
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


# In the order of our own line (docs/observability.md), as far as it knows.
LOG_FORMAT = """\
  log_format json escape=json '{"time":"$time_iso8601","resource":"$server_name","segment":"$proxy_host","instance":"$upstream_addr",'
    '"client":"$remote_addr","tls":"$ssl_protocol","version":"$server_protocol","method":"$request_method","target":"$uri",'
    '"status":$status,"bytes_in":$request_length,"bytes_out":$body_bytes_sent,"total_s":$request_time,'
    '"wait_s":"$upstream_connect_time","first_byte_s":"$upstream_header_time","error":"$upstream_status"}';"""


class Nginx(Peer):
    name = "nginx"
    # It has processes in their place.
    threads = False

    def argv(self, directory, setup):
        config = directory / "nginx.conf"
        tls, log = setup.certificate, setup.access_log
        config.write_text(CONFIG.format(
            port=setup.port, backend=setup.backend, connections_max=CONNECTIONS_MAX,
            listen=(" ssl" if setup.wire.tls else "") + (" http2" if setup.wire.h2 else ""),
            certificate=f"    ssl_certificate {tls.chain};\n    ssl_certificate_key {tls.key};\n    ssl_protocols TLSv1.2 TLSv1.3;"
            if setup.wire.tls else "",
            access_log=f"{log} json buffer=64k flush=1s" if log else "off", log_format=LOG_FORMAT if log else "",
            mirror="      mirror /shadow;" if setup.shadow else "",
            shadow_upstream=SHADOW_UPSTREAM.format(shadow=setup.shadow) if setup.shadow else "",
            shadow_location=SHADOW_LOCATION.format(timeout=MIRROR_TIMEOUT) if setup.shadow else ""))
        return ["/usr/sbin/nginx", "-p", directory, "-c", config, "-e", "stderr"]

    def version(self):
        return subprocess.run(["/usr/sbin/nginx", "-v"], capture_output=True, text=True).stderr.strip()
