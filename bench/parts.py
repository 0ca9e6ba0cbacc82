"""What the matrix compares: PostgreSQL, PgBouncer, HAProxy. Each runs in a directory of its own, on free loopback ports."""

import glob
import os
import shutil
import signal
import socket
import subprocess
import time


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        raise SystemExit(f"bench: `{' '.join(map(str, command))}` failed: {done.stderr[-2000:]}{done.stdout[-500:]}")
    return done.stdout


def write(path, text, mode=0o600):
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)


def account():
    """PostgreSQL and PgBouncer refuse to run as root: they get Debian's account."""
    return ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"] if os.getuid() == 0 else []


def hand_over(path):
    if os.getuid() == 0:
        shutil.chown(path, "postgres", "postgres")


class Processes:
    """What was started, stopped in reverse order."""

    def __init__(self, logs):
        self.logs = logs
        self.started = []

    def start(self, name, command, port):
        log = open(os.path.join(self.logs, name + ".log"), "ab")
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        self.started.append(child)
        end = time.monotonic() + 60
        while True:
            if child.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"bench: {name} does not run: see {log.name}")
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return child
            except OSError:
                time.sleep(0.05)

    def stop(self):
        for child in reversed(self.started):
            child.send_signal(signal.SIGINT)
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def certificates(directory):
    """An authority and a server certificate on P-256, for 127.0.0.1."""
    at = lambda name: os.path.join(directory, name)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    run("openssl", "req", "-x509", *key, "-days", "2", "-subj", "/CN=bench authority", "-keyout", at("ca.key"), "-out", at("ca.pem"))
    run("openssl", "req", *key, "-subj", "/CN=127.0.0.1", "-keyout", at("server.key"), "-out", at("server.csr"))
    write(at("san"), "subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n")
    run("openssl", "x509", "-req", "-in", at("server.csr"), "-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial",
        "-days", "2", "-extfile", at("san"), "-out", at("server.pem"))
    os.chmod(at("server.key"), 0o600)
    hand_over(at("server.key"))


def postgres(processes, directory, most_sessions):
    """A real PostgreSQL with TLS and fsync off: what is compared is CPU per query, not this machine's disk."""
    bins = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))
    bin_ = next((b for b in bins if b.endswith("/15/bin")), bins[-1])
    cluster, port = os.path.join(directory, "cluster"), free_port()
    os.mkdir(cluster)
    hand_over(cluster)
    run(*account(), f"{bin_}/initdb", "-D", cluster, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", cwd="/")
    write(f"{cluster}/pg_hba.conf", "local all all trust\nhost all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n", 0o644)
    settings = {"listen_addresses": "127.0.0.1", "max_connections": most_sessions + 200, "shared_buffers": "256MB", "fsync": "off",
                "ssl": "on", "ssl_cert_file": f"{directory}/server.pem", "ssl_key_file": f"{directory}/server.key",
                "unix_socket_directories": cluster}
    flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    processes.start("postgres", [*account(), f"{bin_}/postgres", "-D", cluster, "-p", str(port), *flags], port)
    admin = ["-h", "127.0.0.1", "-p", str(port), "-U", "postgres"]
    end = time.monotonic() + 30
    while subprocess.run(["psql", *admin, "-Xqc", "select 1"], capture_output=True).returncode and time.monotonic() < end:
        time.sleep(0.1)
    run("psql", *admin, "-Xqc", "create database bench")
    run("pgbench", *admin, "-i", "-q", "-s", "10", "bench")
    run("psql", *admin, "-Xq", "-v", "ON_ERROR_STOP=1", "-d", "bench", "-f", os.path.join(os.path.dirname(__file__), "seed.sql"))
    return port


def pgbouncer(processes, directory, name, server, tls):
    """Session pooling: what a session sees is then the same as through a gateway."""
    port, home = free_port(), os.path.join(directory, name)
    os.mkdir(home)
    write(f"{home}/users", '"bench" "bench"\n', 0o644)
    text = f"""[databases]
bench = host=127.0.0.1 port={server} dbname=bench
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {home}/users
pool_mode = session
default_pool_size = 100
max_client_conn = 3000
log_connections = 0
log_disconnections = 0
"""
    if tls:
        shutil.copy(f"{directory}/server.key", f"{home}/server.key")
        hand_over(f"{home}/server.key")
        text += f"""client_tls_sslmode = require
client_tls_cert_file = {directory}/server.pem
client_tls_key_file = {home}/server.key
server_tls_sslmode = verify-full
server_tls_ca_file = {directory}/ca.pem
"""
    write(f"{home}/pgbouncer.ini", text, 0o644)
    processes.start(name, [*account(), "/usr/sbin/pgbouncer", f"{home}/pgbouncer.ini"], port)
    return port


def haproxy(processes, directory, server):
    """A TCP relay with one thread for each of two cores."""
    port, path = free_port(), os.path.join(directory, "haproxy.cfg")
    write(path, f"""global
    nbthread 2
    maxconn 5000
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen postgres
    bind 127.0.0.1:{port}
    server one 127.0.0.1:{server}
""")
    processes.start("haproxy", ["/usr/sbin/haproxy", "-db", "-f", path], port)
    return port
