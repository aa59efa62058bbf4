"""200 ADD and 200 DEL, 16 at a time, through the real shim and real delegates."""
from concurrent.futures import ThreadPoolExecutor

import harness

PODS, AT_ONCE, ROOM_KB = 200, 16, 384


def test_stress(postern):
    postern.nad("mv", dict(postern.macvlan_conf("10.89.0.0/16"), cniVersion="1.0.0", name="mv"))
    postern.cluster(postern.bridge_conf("cluster", postern.bridge, "10.88.0.0/16"))
    warm = [postern.pod("mv") for _ in range(AT_ONCE)]
    pods = [postern.pod("mv") for _ in range(PODS)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for verb in ("ADD", "DEL"):
            list(pool.map(lambda p: postern.cni(verb, p).ok(), warm))
        postern.nothing_left()
        before, roles = postern.usage(), postern.all_roles()
        added = list(pool.map(lambda p: postern.cni("ADD", p), pods))
        assert [a.text for a in added if a.exit] == []
        assert len(postern.journal()) == PODS and len(postern.leases()) == 2 * PODS
        seen = {address for p in pods for address in p.addresses("eth0") + p.addresses("net1")}
        assert len(seen) == 2 * PODS
        deleted = list(pool.map(lambda p: postern.cni("DEL", p), pods))
    assert [d.text for d in deleted if d.exit] == []
    postern.nothing_left(*pods)
    postern.unharmed(roles)
    after = postern.usage()
    print("role: descriptors, private kB before -> after")
    for role in harness.ROLES:
        print(f"  {role}: {before[role]} -> {after[role]}")
        assert after[role][0] == before[role][0], f"{role}: descriptors grew"
        assert after[role][1] <= before[role][1] + ROOM_KB, f"{role}: memory grew"


def test_more_than_there_are_slots(make_postern):
    """Those beyond the slots wait in order and are served; none fails."""
    p = make_postern(limits={"attachments": 2})
    p.cluster({"type": "misbehave", "delay": "50"}, cniVersion="1.0.0")
    p.start()
    pods = [p.pod() for _ in range(24)]
    with ThreadPoolExecutor(24) as pool:
        assert [a.text for a in pool.map(p.add, pods) if a.exit] == []
        assert [a.text for a in pool.map(p.delete, pods) if a.exit] == []
    p.nothing_left(*pods)
