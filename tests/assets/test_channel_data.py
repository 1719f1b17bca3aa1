import numpy as np
import pytest
import torch
from channel_data import Table, read_channel, share_of
from process_group import Process
from rows import Rows, RowsOnDisk

X, Y = np.arange(12.0).reshape(6, 2), np.array([0, 1, 0, 1, 0, 1])


def test_npz_files_are_concatenated_in_the_order_of_their_paths(tmp_path):
    (tmp_path / "b").mkdir()
    np.savez(tmp_path / "b" / "first.npz", x=X[4:], y=Y[4:])
    np.savez(tmp_path / "a.npz", x=X[:4], y=Y[:4])

    table = read_channel(str(tmp_path), "train")

    np.testing.assert_array_equal(table.x, X)
    np.testing.assert_array_equal(table.y, Y[:, None])
    assert table.x.dtype == np.float32
    assert table.y.dtype == np.float64


def test_npy_pairs_are_matched_by_name(tmp_path):
    for part, rows in (("part-0-", slice(0, 2)), ("part-1-", slice(2, None))):
        np.save(tmp_path / f"{part}x.npy", X[rows])
        np.save(tmp_path / f"{part}y.npy", Y[rows, None])

    table = read_channel(str(tmp_path), "train")

    np.testing.assert_array_equal(table.x, X)
    np.testing.assert_array_equal(table.y, Y[:, None])


def test_plain_x_and_y_are_a_pair(tmp_path):
    np.save(tmp_path / "x.npy", X.reshape(6, 2, 1))
    np.save(tmp_path / "y.npy", Y)

    assert read_channel(str(tmp_path), "train").x.shape == (6, 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_rows_on_the_disk_are_those_in_memory(tmp_path, dtype):
    x = np.arange(60).reshape(12, 5).astype(dtype)
    for part, rows in (("part-0-", slice(0, 5)), ("part-1-", slice(5, 6)), ("part-2-", slice(6, None))):
        np.save(tmp_path / f"{part}x.npy", x[rows])
        np.save(tmp_path / f"{part}y.npy", np.arange(12)[rows])
    table = read_channel(str(tmp_path), "train", "always")
    assert isinstance(table.x, RowsOnDisk)
    in_memory = read_channel(str(tmp_path), "train", "never")
    process = Process(1, 3, 1, 3, "algo-1", torch.device("cpu"))

    for mine, mine_in_memory in (
        (table, in_memory),
        (share_of(process, table, "train"), share_of(process, in_memory, "train")),
    ):
        rows, rows_in_memory = Rows(mine.x, process.device), Rows(mine_in_memory.x, process.device)
        order = torch.randperm(len(rows))
        assert torch.equal(rows[order], rows_in_memory[order])
        assert rows[order].dtype == torch.float32
        assert rows[order[:0]].shape == (0, 5)
        assert torch.equal(torch.cat(list(rows.blocks(2))), rows_in_memory[torch.arange(len(rows))])
        assert rows.checksum() == rows_in_memory.checksum()
        np.testing.assert_array_equal(mine.y, mine_in_memory.y)


def test_npy_pairs_stay_on_the_disk_where_they_are_large_for_the_memory(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    for share, processes, expected in ((4, 1, False), (3, 1, True), (4, 2, True)):
        monkeypatch.setattr("os.sysconf", {"SC_PHYS_PAGES": size * share, "SC_PAGE_SIZE": 1}.get)
        table = read_channel(str(tmp_path), "train", processes=processes)
        assert isinstance(table.x, RowsOnDisk) is expected


def test_fails_when_a_row_on_the_disk_is_not_finite(tmp_path):
    np.save(tmp_path / "x.npy", np.where(X == 6, np.nan, X))
    np.save(tmp_path / "y.npy", Y)

    with pytest.raises(ValueError, match=r"x\.npy: x must be finite, its row 3 is not"):
        read_channel(str(tmp_path), "train", "always")


@pytest.mark.parametrize("header", ["", "label,first,second\n", "\ufefflabel,first,second\n"])
def test_csv_has_the_label_first_and_perhaps_a_header(tmp_path, header):
    rows = "".join(f"{y},{x[0]},{x[1]}\r\n" for x, y in zip(X, Y, strict=True))
    (tmp_path / "data.csv").write_text(header + rows, encoding="utf-8")

    table = read_channel(str(tmp_path), "train")

    np.testing.assert_array_equal(table.x, X)
    np.testing.assert_array_equal(table.y, Y[:, None])


def test_hidden_files_and_other_kinds_are_ignored(tmp_path):
    np.savez(tmp_path / "data.npz", x=X, y=Y)
    for name in ("_SUCCESS", ".part.csv", "README.md", "_old.npy"):
        (tmp_path / name).write_text("not data")

    assert len(read_channel(str(tmp_path), "train").x) == 6


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X}, r"must hold the arrays x and y, got \['x'\]"),
        ({"x": X, "y": Y[:5]}, r"y must have a row for each row of x, .* \(6, 2\), got \(5,\)"),
        ({"x": X[:, 0], "y": Y}, r"x must have the shape \(rows, features\)"),
        (
            {"x": X[:0], "y": Y[:0]},
            r"x must have the shape \(rows, features\), neither of them 0, got \(0, 2\)",
        ),
        ({"x": X[:, 0], "y": Y[:1]}, r"x must have .*; y must have"),
        ({"x": X.astype(str), "y": Y}, "x must hold numbers, got <U"),
        ({"x": np.where(X == 6, np.nan, X), "y": Y}, "x must be finite, its row 3 is not"),
        ({"x": X, "y": np.where(Y == 1, np.inf, 0)}, "y must be finite, its row 1 is not"),
        ({"x": np.array([[object()]]), "y": np.array([1])}, "allow_pickle=False"),
    ],
)
def test_fails_when_a_table_is_wrong(tmp_path, arrays, message):
    np.savez(tmp_path / "data.npz", allow_pickle=True, **arrays)

    with pytest.raises(ValueError, match=message):
        read_channel(str(tmp_path), "train")


def test_fails_when_the_folder_is_missing(tmp_path):
    with pytest.raises(ValueError, match=r"channel train: the folder .*absent does not exist"):
        read_channel(str(tmp_path / "absent"), "train")


@pytest.mark.parametrize(
    ("names", "found"), [([], "an empty folder"), (["a.txt"], "a.txt"), (["a.csv", "b.npz"], "a.csv")]
)
def test_fails_when_there_is_not_one_kind_of_table(tmp_path, names, found):
    for name in names:
        (tmp_path / name).write_text("1,2\n")

    with pytest.raises(ValueError, match=f"must hold tables of one kind, .* got {found}"):
        read_channel(str(tmp_path), "train")


def test_fails_when_an_npy_has_no_partner(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "part-y.npy", Y)

    with pytest.raises(ValueError, match=r"part-y\.npy: must be one of a pair such as x\.npy and y\.npy"):
        read_channel(str(tmp_path), "train")


def test_fails_when_files_differ_in_width(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    np.savez(tmp_path / "b.npz", x=X[:, :1], y=Y)

    with pytest.raises(ValueError, match=r"channel train: the files differ in the width of x: \[1, 2\]"):
        read_channel(str(tmp_path), "train")


def test_fails_when_a_csv_field_is_no_number(tmp_path):
    (tmp_path / "a.csv").write_text("0,1,2\n1,x,3\n")

    with pytest.raises(ValueError, match=r"a\.csv: .*'x'"):
        read_channel(str(tmp_path), "train")


@pytest.mark.parametrize("distribution", ["FullyReplicated", "ShardedByS3Key"])
def test_shares_of_all_processes_are_all_rows_once(monkeypatch, distribution):
    monkeypatch.setenv("SM_INPUT_DATA_CONFIG", f'{{"train": {{"S3DistributionType": "{distribution}"}}}}')
    shares = []
    for rank in range(4):  # two hosts of two processes each
        process = Process(rank, 4, rank % 2, 2, f"algo-{rank // 2}", torch.device("cpu"))
        on_host = (
            Table(X, Y) if distribution == "FullyReplicated" else Table(X[rank // 2 :: 2], Y[rank // 2 :: 2])
        )
        shares.append(share_of(process, on_host, "train").x)

    np.testing.assert_array_equal(np.sort(np.concatenate(shares), axis=0), X)
