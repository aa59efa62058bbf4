import harness

def test_smoke(make_postern):
    p = make_postern()
    p.config["metrics"] = f"unix:{p.socket_dir}/metrics.sock"
    p.programs = harness.ROLES + ("postern-metrics",)
    p.config["sandbox"]="trap"; p.start()
    pod = p.pod()
    p.add(pod).ok()
    for what in ("metrics", "healthz", "readyz", "x"):
        r = harness.sh("curl", "-si", "--max-time", "10", "--unix-socket", f"{p.socket_dir}/metrics.sock", f"http://x/{what}", check=False)
        print(r.stdout, r.stderr, r.returncode)
    r = harness.sh(str(harness.BUILD / "posternctl"), "verify", check=False)
    print(r.stdout, r.stderr)
    print(p.stderr())
    p.delete(pod).ok()
    assert 0
