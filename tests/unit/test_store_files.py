"""A file is either the old one or the new one; numbers are written the same everywhere."""

import errno
import json
import os

import numpy as np
import pandas as pd
import pytest

from evaluation import store
from evaluation.errors import DataError, InternalError, SetupError, StaleError


def names(folder):
    return sorted(file.name for file in folder.iterdir())


# writing -------------------------------------------------------------------------------------------------------------


def test_bytes_come_back(tmp_path):
    store.write_bytes(tmp_path / "new" / "a.bin", b"\x00\xff")
    assert store.read_bytes(tmp_path / "new" / "a.bin") == b"\x00\xff"
    assert names(tmp_path / "new") == ["a.bin"]


def test_no_more_than_asked_is_read(tmp_path):
    store.write_bytes(tmp_path / "a.bin", b"12345")
    assert store.read_bytes(tmp_path / "a.bin", at_most=2) == b"12"


def test_text_keeps_its_line_ends(tmp_path):
    store.write_text(tmp_path / "a.txt", "été\r\nhiver\n")
    assert (tmp_path / "a.txt").read_bytes() == "été\r\nhiver\n".encode()
    assert store.read_text(tmp_path / "a.txt") == "été\nhiver\n"


def test_a_byte_order_mark_is_dropped(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfa")
    assert store.read_text(tmp_path / "a.txt") == "a"


def test_files_are_readable_by_those_whom_the_umask_allows(tmp_path):
    mask = os.umask(0o022)
    try:
        store.write_text(tmp_path / "a.txt", "a")
    finally:
        os.umask(mask)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o644


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("broken", ["replace", "fsync"])
def test_a_full_disk_leaves_the_old_file_and_no_temporary_one(tmp_path, monkeypatch, broken):
    target = tmp_path / "a.txt"
    store.write_text(target, "old")
    monkeypatch.setattr(os, broken, full_disk)
    with pytest.raises(SetupError, match="E-STO-006") as caught:
        store.write_text(target, "new" * 1000)
    assert caught.value.expected == "at least 9,000 bytes"
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_failed_write_of_a_new_file_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(SetupError, match="E-STO-006"):
        store.write_text(tmp_path / "a.txt", "new")
    assert names(tmp_path) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(SetupError, match="E-STO-007"):
        store.write_text(tmp_path / "file" / "a.txt", "new")


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    target = tmp_path / "a.txt"
    store.write_text(target, "old")
    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.write_text(target, "new")
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


# JSON ----------------------------------------------------------------------------------------------------------------


def test_json_is_written_for_people_and_for_diffs(tmp_path):
    store.write_json(tmp_path / "a.json", {"b": "été", "a": [1, None, True]})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == (
        '{\n "b": "été",\n "a": [\n  1,\n  null,\n  true\n ]\n}\n'
    )


def test_numbers_have_twelve_significant_digits(tmp_path):
    # 0.1 + 0.2 = 0.30000000000000004 in binary; 12 digits of 2/3 are 0.666666666667; -0.0 is 0.0
    numbers = [0.1 + 0.2, 2 / 3, 1234567890123.4, 1e-20 / 3, -0.0, 5.0]
    store.write_json(tmp_path / "a.json", numbers)
    written = (tmp_path / "a.json").read_text().split()
    assert written == ["[", "0.3,", "0.666666666667,", "1234567890120.0,", "3.33333333333e-21,", "0.0,", "5.0", "]"]


def test_the_last_place_of_a_number_does_not_change_the_file(tmp_path):
    store.write_json(tmp_path / "a.json", {"estimate": 1794.3431})
    store.write_json(tmp_path / "b.json", {"estimate": np.nextafter(1794.3431, 2000)})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_numpy_values_become_plain_ones(tmp_path):
    data = {"n": np.int64(3), "x": np.float64(0.5), "ok": np.bool_(True), "row": np.array([1.0, 2.0]), "t": (1, 2)}
    store.write_json(tmp_path / "a.json", data)
    assert store.read_json(tmp_path / "a.json") == {"n": 3, "x": 0.5, "ok": True, "row": [1.0, 2.0], "t": [1, 2]}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float64("-inf")])
def test_a_number_that_is_not_finite_is_refused(tmp_path, value):
    with pytest.raises(InternalError, match="E-STO-010") as caught:
        store.write_json(tmp_path / "a.json", {"effects": [{"p_value": value}]})
    assert caught.value.where == "effects.0.p_value"
    assert names(tmp_path) == []


def test_a_value_that_json_does_not_know_is_refused(tmp_path):
    with pytest.raises(InternalError, match="E-STO-008"):
        store.write_json(tmp_path / "a.json", {"when": pd.Timestamp("2024-01-01")})


def test_a_key_that_json_does_not_know_is_refused(tmp_path):
    with pytest.raises(InternalError, match="E-STO-009"):
        store.write_json(tmp_path / "a.json", {"effects": {2004: 1}})


def test_a_json_file_that_was_cut_is_refused_with_its_line(tmp_path):
    (tmp_path / "a.json").write_text('{\n "a": 1,\n')
    with pytest.raises(DataError, match="E-STO-014") as caught:
        store.read_json(tmp_path / "a.json")
    assert "line" in caught.value.where


def test_nan_in_a_json_file_is_refused(tmp_path):
    (tmp_path / "a.json").write_text('{"a": NaN}')
    with pytest.raises(DataError, match="E-STO-014") as caught:
        store.read_json(tmp_path / "a.json")
    assert caught.value.found == "NaN, which JSON does not have"


# tables --------------------------------------------------------------------------------------------------------------


def test_a_table_is_written_with_line_feeds_and_twelve_digits(tmp_path):
    frame = pd.DataFrame({"term": ["att", None], "estimate": [2 / 3, np.nan], "n": [1, 2]})
    store.write_csv(tmp_path / "a.csv", frame)
    assert (tmp_path / "a.csv").read_bytes() == b"term,estimate,n\natt,0.666666666667,1\n,,2\n"


def test_only_an_empty_cell_is_missing(tmp_path):
    store.write_csv(tmp_path / "a.csv", pd.DataFrame({"country": ["NA", None], "code": ["01", "02"]}))
    frame = store.read_csv(tmp_path / "a.csv", text=["code"])
    assert frame["country"].iloc[0] == "NA"
    assert frame["country"].isna().tolist() == [False, True]
    assert frame["code"].tolist() == ["01", "02"]


def test_floats_of_a_table_come_back_to_the_last_place(tmp_path):
    # pandas before 3.1 read some floats one place off unless told otherwise
    rng = np.random.default_rng(1)
    numbers = rng.normal(size=2000) * 10.0 ** rng.integers(-30, 30, size=2000)
    store.write_csv(tmp_path / "a.csv", pd.DataFrame({"y": numbers}))
    expected = [float(f"{number:.12g}") for number in numbers]
    np.testing.assert_array_equal(store.read_csv(tmp_path / "a.csv")["y"].to_numpy(), expected)


def test_an_empty_file_is_not_a_table(tmp_path):
    (tmp_path / "a.csv").write_text("")
    with pytest.raises(DataError, match="E-STO-015"):
        store.read_csv(tmp_path / "a.csv")


def test_parquet_keeps_types_and_bytes(tmp_path):
    frame = pd.DataFrame({"unit": ["a", "b"], "cohort": pd.array([2004, None], dtype="Int64"), "y": [1 / 3, np.nan]})
    store.write_parquet(tmp_path / "a.parquet", frame)
    store.write_parquet(tmp_path / "b.parquet", frame)
    pd.testing.assert_frame_equal(store.read_parquet(tmp_path / "a.parquet"), frame)
    assert store.sha256_file(tmp_path / "a.parquet") == store.sha256_file(tmp_path / "b.parquet")


def test_parquet_that_was_cut_is_refused(tmp_path):
    store.write_parquet(tmp_path / "a.parquet", pd.DataFrame({"y": range(100)}))
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="E-STO-016"):
        store.read_parquet(tmp_path / "a.parquet")


# reading -------------------------------------------------------------------------------------------------------------


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StaleError, match="E-STO-011") as caught:
        store.read_json(tmp_path / "record.json")
    assert caught.value.where.endswith("record.json")


def test_a_folder_cannot_be_read_as_a_file(tmp_path):
    with pytest.raises(SetupError, match="E-STO-012"):
        store.read_bytes(tmp_path)


def test_text_that_is_not_utf8_is_refused_with_its_line(tmp_path):
    (tmp_path / "a.txt").write_bytes("un\ndeux\nété\n".encode("cp1252"))
    with pytest.raises(DataError, match="E-STO-013") as caught:
        store.read_text(tmp_path / "a.txt")
    assert caught.value.where.endswith("line 3")
    assert caught.value.found == "byte 0xe9"


# staged folders ------------------------------------------------------------------------------------------------------


def fill_and_fail(folder):
    assert names(folder) == []
    store.write_text(folder / "record.json", "new")
    _ = 1 / 0


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "small-classes"
    folder.mkdir()
    (folder / "record.json").write_text("old")
    (folder / "gone.csv").write_text("old")
    return folder


def test_a_staged_folder_replaces_the_old_one_whole(target):
    with store.staged(target) as folder:
        store.write_text(folder / "record.json", "new")
        assert (target / "record.json").read_text() == "old"
    assert names(target) == ["record.json"]
    assert (target / "record.json").read_text() == "new"
    assert names(target.parent) == ["small-classes"]


def test_a_staged_folder_may_be_the_first(tmp_path):
    with store.staged(tmp_path / "evidence" / "a") as folder:
        store.write_text(folder / "record.json", "new")
    assert names(tmp_path / "evidence") == ["a"]


def test_an_exception_leaves_the_old_folder_untouched(target):
    with pytest.raises(ZeroDivisionError), store.staged(target) as folder:
        fill_and_fail(folder)
    assert names(target) == ["gone.csv", "record.json"]
    assert (target / "record.json").read_text() == "old"
    assert names(target.parent) == ["small-classes"]


def test_a_swap_that_fails_puts_the_old_folder_back(target, monkeypatch):
    replace = os.replace

    def fail_on_the_new_one(source, destination):
        if str(source).endswith(".new"):
            full_disk()
        replace(source, destination)

    monkeypatch.setattr(os, "replace", fail_on_the_new_one)
    with pytest.raises(SetupError, match="E-STO-006"), store.staged(target) as folder:
        (folder / "record.json").write_text("new")
    assert (target / "record.json").read_text() == "old"
    assert names(target.parent) == ["small-classes"]


def test_a_process_that_died_between_the_two_renames_loses_nothing(target):
    target.rename(target.with_name(".small-classes.old"))
    left_over = target.with_name(".small-classes.new")
    left_over.mkdir()
    (left_over / "half.csv").write_text("cut")
    with pytest.raises(ZeroDivisionError), store.staged(target) as folder:
        fill_and_fail(folder)
    assert (target / "record.json").read_text() == "old"
    assert names(target.parent) == ["small-classes"]


def test_two_that_fill_one_folder_do_not_mix(target):
    with store.staged(target), pytest.raises(SetupError, match="E-STO-017"), store.staged(target):
        pass


# hashes --------------------------------------------------------------------------------------------------------------


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    assert store.sha256_bytes(b"abc") == known
    assert store.sha256_file(tmp_path / "a") == known


def test_the_hash_of_a_missing_file_says_that_it_is_missing(tmp_path):
    with pytest.raises(StaleError, match="E-STO-011"):
        store.sha256_file(tmp_path / "a")


def test_the_hash_of_plain_data_does_not_depend_on_the_order_of_keys():
    assert store.sha256_json({"a": 1, "b": [2.0]}) == store.sha256_json({"b": (2.0,), "a": 1})
    assert store.sha256_json({"a": 1}) == store.sha256_bytes(b'{"a":1}')


def test_the_hash_of_plain_data_sees_every_digit():
    assert store.sha256_json(0.3) != store.sha256_json(0.1 + 0.2)


def test_the_hash_of_source_files_sees_names_and_contents_but_not_places(tmp_path):
    def write(folder, files):
        for name, text in files.items():
            store.write_bytes(tmp_path / folder / name, text)
        return store.sha256_files([tmp_path / folder / name for name in reversed(files)])

    one = write("one", {"a.py": b"x = 1\n", "sub/b.py": b"y = 2\n"})
    assert write("two", {"sub/b.py": b"y = 2\r\n", "a.py": b"x = 1\n"}) == one
    assert write("three", {"a.py": b"x = 1\n", "sub/c.py": b"y = 2\n"}) != one
    assert write("four", {"a.py": b"x = 1\n", "sub/b.py": b"y = 3\n"}) != one


def test_the_hash_of_a_table_sees_values_and_not_the_index():
    frame = pd.DataFrame({"y": [0.1, 0.2]})
    assert store.sha256_frame(frame) == store.sha256_bytes(b"y\n0.1\n0.2\n")
    assert store.sha256_frame(frame.set_axis([5, 6])) == store.sha256_frame(frame)
    assert store.sha256_frame(frame + 1e-16) != store.sha256_frame(frame)


def test_what_is_written_is_what_json_reads(tmp_path):
    data = {"a": [1, 2.5, "x", None, {"b": False}]}
    store.write_json(tmp_path / "a.json", data)
    assert json.loads((tmp_path / "a.json").read_text()) == data
