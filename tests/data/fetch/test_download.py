"""Downloads go on where they stopped, are checked, and are never half there."""

import subprocess
import threading

import numpy as np
import pytest

from multiace.data.fetch.download import ATTEMPTS, FetchError, download, git_id

CONTENT = np.random.default_rng(0).bytes(300_000)
LIMIT = 1_000_000


def is_content(path):
    if path.read_bytes() != CONTENT:
        raise FetchError("other bytes")


@pytest.fixture
def get(site, tmp_path):
    """Return a function that downloads the content and the path it goes to."""
    site.files["/a/file"] = CONTENT
    target = tmp_path / "kept" / "file"

    def run(check=is_content, **options):
        options = {"limit": LIMIT, "pause": 0.0, **options}
        download(f"{site.address}/a/file", target, check, **options)

    return run, target


def test_a_file_arrives_whole_and_leaves_no_part(get):
    run, target = get
    seen = []
    run(on_bytes=lambda here, total: seen.append((here, total)))
    assert target.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert not list(target.parent.glob("*.part"))


def test_a_file_that_is_there_is_checked_and_not_downloaded(get, site):
    run, target = get
    run()
    asked = len(site.requests)
    run()
    assert len(site.requests) == asked
    target.write_bytes(b"damaged")
    with pytest.raises(FetchError, match="other bytes"):
        run()


def test_a_broken_connection_goes_on_where_it_ended(get, site):
    run, target = get
    site.cut_after = [100_000, 50_000]
    run()
    assert target.read_bytes() == CONTENT
    assert [wanted for _, wanted in site.requests] == [None, "bytes=100000-", "bytes=150000-"]


def test_a_part_of_an_earlier_process_is_gone_on_with(get, site):
    run, target = get
    target.parent.mkdir()
    target.with_name("file.part").write_bytes(CONTENT[:200_000])
    run()
    assert target.read_bytes() == CONTENT
    assert site.requests == [("/a/file", "bytes=200000-")]


def test_a_complete_part_is_not_downloaded_again(get, site):
    run, target = get
    target.parent.mkdir()
    target.with_name("file.part").write_bytes(CONTENT)
    run()
    assert target.read_bytes() == CONTENT
    assert len(site.requests) == 1


@pytest.mark.parametrize("part", [b"x" * 1000, b"x" * 400_000], ids=["other bytes", "too long"])
def test_a_part_of_something_else_is_downloaded_from_the_start(get, part):
    run, target = get
    target.parent.mkdir()
    target.with_name("file.part").write_bytes(part)
    run()
    assert target.read_bytes() == CONTENT


def test_a_server_without_ranges_sends_the_whole_file(get, site):
    run, target = get
    site.ranges = False
    site.cut_after = [100_000]
    run()
    assert target.read_bytes() == CONTENT


def test_a_server_that_says_no_length_is_believed(get, site):
    run, target = get
    site.says_length = False
    run()
    assert target.read_bytes() == CONTENT


def test_passing_refusals_are_tried_again(get, site):
    run, target = get
    site.statuses = [503, 429, 500]
    run()
    assert target.read_bytes() == CONTENT


def test_lasting_refusals_say_what_the_server_says(get, site):
    run, target = get
    site.statuses = [503] * ATTEMPTS
    with pytest.raises(FetchError, match=r"HTTP 503.*--mirror"):
        run()
    site.files.clear()
    with pytest.raises(FetchError, match="HTTP 404 Not Found"):
        run()
    assert not target.exists()


def test_without_a_connection_the_error_says_what_is_kept(tmp_path, get, site):
    run, target = get
    site.cut_after = [1000] + [0] * ATTEMPTS
    with pytest.raises(FetchError, match=r"ended after 1,000 of 300,000.*1,000 bytes are kept"):
        run()
    assert not target.exists()
    closed = "http://127.0.0.1:9/file"
    with pytest.raises(FetchError, match=r"127\.0\.0\.1.*refused.*--mirror"):
        download(closed, tmp_path / "file", is_content, limit=LIMIT, pause=0.0)


def test_a_wrong_file_is_not_kept(get, site):
    run, target = get
    site.files["/a/file"] = CONTENT[:-1] + b"?"
    with pytest.raises(FetchError, match="other bytes"):
        run()
    assert not list(target.parent.glob("file*")) or [
        path.name for path in target.parent.iterdir()
    ] == ["file.lock"]


def test_a_file_without_end_is_refused(get):
    run, target = get
    with pytest.raises(FetchError, match="longer than the 1,000 bytes"):
        run(limit=1000)
    assert not target.exists()


def test_two_at_once_download_it_once(get, site):
    run, target = get
    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() == CONTENT
    assert len(site.requests) == 1


def test_addresses_of_files_on_this_machine_are_refused(tmp_path):
    with pytest.raises(FetchError, match=r"must begin with http://.*'file:///etc/hostname'"):
        download("file:///etc/hostname", tmp_path / "file", is_content, limit=LIMIT)


def test_the_git_id_is_that_of_git(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"what is up, doc?")
    assert git_id(path) == "bd9dbf5aae1a3862dd1526723246b20206e5fc37"  # Pro Git, chapter 10.2
    path.write_bytes(CONTENT)
    try:
        found = subprocess.run(
            ["git", "hash-object", str(path)], capture_output=True, text=True, check=True
        )
    except FileNotFoundError:
        pytest.skip("git is not installed")
    assert git_id(path) == found.stdout.strip()
