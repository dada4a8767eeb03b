"""How many cores a process may use."""

import os

import pytest
from makemore.runtime.cores import usable_cores


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def system(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("5000 100000", 1),
     ("1600000 100000", 8), ("nonsense", 8), ("100000 0", 8)],
)  # fmt: skip
def test_the_quota_of_a_cgroup_of_version_2_counts_rounded_up(tmp_path, quota, cores):
    files = {"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": f"{quota}\n"}
    assert usable_cores(system(tmp_path, files)) == cores


@pytest.mark.parametrize(("quota", "cores"), [("-1", 8), ("300000", 3), ("250000", 3), ("1", 1)])
def test_the_quota_of_a_cgroup_of_version_1_counts_rounded_up(tmp_path, quota, cores):
    folder = "sys/fs/cgroup/cpu/docker/x"
    files = {
        "proc/self/cgroup": "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n",
        f"{folder}/cpu.cfs_quota_us": f"{quota}\n",
        f"{folder}/cpu.cfs_period_us": "100000\n",
    }
    assert usable_cores(system(tmp_path, files)) == cores


def test_the_smallest_quota_of_the_cgroups_above_counts(tmp_path):
    files = {
        "proc/self/cgroup": "0::/a/b\n",
        "sys/fs/cgroup/cpu.max": "400000 100000\n",
        "sys/fs/cgroup/a/cpu.max": "300000 100000\n",
        "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
    }
    assert usable_cores(system(tmp_path, files)) == 3


def test_in_a_container_the_quota_of_the_mount_counts_where_the_path_is_the_hosts(tmp_path):
    files = {"proc/self/cgroup": "0::/../on/host\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}
    assert usable_cores(system(tmp_path, files)) == 2


def test_where_there_are_no_cgroups_the_affinity_counts(tmp_path, monkeypatch):
    assert usable_cores(tmp_path) == 8
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores(tmp_path) == 1
