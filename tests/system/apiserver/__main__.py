"""Serves until SIGTERM, for the benchmark and for trying things by hand: python3 -m apiserver --dir D --port P"""
import argparse
import json
import pathlib
import signal

from . import ApiServer, Cluster


def main():
    parser = argparse.ArgumentParser(prog="apiserver", description=__doc__)
    parser.add_argument("--dir", required=True, type=pathlib.Path, help="for keys and kubeconfigs")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0, help="milliseconds before each answer")
    parser.add_argument("--role", help="a manifest with the ClusterRole of the service account; without: it may do everything")
    parser.add_argument("--objects", help="JSON lines, each an object to begin with")
    options = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    with ApiServer(options.dir, options.port) as server:
        server.latency = options.latency / 1000
        server.grant(options.role or [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}])
        for line in pathlib.Path(options.objects).read_text().splitlines() if options.objects else ():
            server.seed(json.loads(line))
        Cluster(server).close()  # writes admin.crt and admin.key
        server.write_service_account(options.dir / "serviceaccount", seconds=10 * 365 * 86400)
        server.write_kubeconfig(options.dir / "postern.kubeconfig", token=server.token(seconds=10 * 365 * 86400))
        print(server.write_kubeconfig(options.dir / "kubeconfig"), flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


main()
