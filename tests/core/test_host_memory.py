import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
if sys.argv[1] == "kept":
    from s2s_core.host_memory import keep_freed_memory
    assert keep_freed_memory()
def touch():
    bytearray(64 << 20)
touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how):
    done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is Linux's")
def test_large_memory_is_used_again_without_asking_the_system():
    returned, kept = page_faults("returned"), page_faults("kept")
    assert returned > 300  # even in pages of 2 MiB
    assert kept < 100
