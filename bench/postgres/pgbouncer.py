"""PgBouncer, one process, its defaults but for what is said here: docs/bench-postgres.md tells why."""

import pathlib
import subprocess

from peer import CLIENTS_MAX, Peer
from postgres import server_user

PROGRAM = pathlib.Path("/usr/sbin/pgbouncer")
CONFIG = """\
[databases]
postgres = host=127.0.0.1 port={backend}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
admin_users = postgres
pool_mode = {mode}
default_pool_size = {pool_size}
max_client_conn = {clients_max}
log_connections = 0
log_disconnections = 0
log_stats = 0
"""


class PgBouncer(Peer):
    """`mode`: session or transaction."""

    def __init__(self, mode):
        self.name = "pgbouncer" if mode == "session" else "pgbouncer-tx"
        self.mode = mode
        self.pools = mode == "transaction"
        # It refuses to be root.
        self.user = server_user()

    @staticmethod
    def installed():
        return PROGRAM.exists()

    def write_config(self, directory, port, backend, servers_max):
        users = directory / "users.txt"
        users.write_text('"postgres" ""\n')
        config = directory / "pgbouncer.ini"
        config.write_text(CONFIG.format(backend=backend, port=port, users=users, mode=self.mode, pool_size=servers_max,
                                        clients_max=CLIENTS_MAX))
        return config

    def argv(self, directory, setup):
        return [PROGRAM, self.write_config(directory, setup.port, setup.backend, setup.servers_max)]

    def version(self):
        return subprocess.run([PROGRAM, "--version"], capture_output=True, text=True).stdout.splitlines()[0]
