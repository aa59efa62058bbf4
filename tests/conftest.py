import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def machine():
    if os.geteuid() != 0:
        pytest.exit("the system tests need root")
    lock = harness.lock_machine()
    yield
    lock.close()


@pytest.fixture
def make_postern():
    """Postern on its own directory, not started; as many as asked for, one after the other."""
    made = []

    def make(**config):
        made.append(harness.Postern(**config))
        return made[-1]

    yield make
    for p in reversed(made):
        p.close()


@pytest.fixture
def postern(make_postern):
    p = make_postern()
    p.start()
    return p


@pytest.fixture(scope="module")
def shared():
    """One Postern for a whole file, where starting one for each of many cases would only cost time."""
    p = harness.Postern()
    try:
        p.start()
        yield p
    finally:
        p.close()


@pytest.fixture
def calm(shared):
    """The shared service, which must be the same afterwards and serve the next pod, with nothing left behind."""
    before = shared.all_roles()
    try:
        yield shared
        shared.unharmed(before)
        shared.nothing_left(*shared.pods)
        ok = shared.pod()
        shared.add(ok).ok()
        shared.delete(ok).ok()
        shared.drop_pods()
    except BaseException:
        shared.renew()
        raise


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    node = next((v for k, v in getattr(item, "funcargs", {}).items() if k in ("postern", "shared", "calm")), None)
    if report.when == "call" and report.failed and node is not None:
        report.sections.append(("postern's log", node.stderr()))
        if "runtime" in item.funcargs:
            report.sections.append(("containerd's log", item.funcargs["runtime"].log()))
