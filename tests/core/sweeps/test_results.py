from s2s_core.sweeps.results import DONE, FAILED, Result, finished_runs, history, summary, write_table


def test_the_history_is_of_all_starts_in_order(tmp_path):
    for version, rows in ((0, ["1,0.9", "2,", "3,0.7"]), (10, ["5,0.4"]), (2, ["4,0.5", "4,nan"])):
        folder = tmp_path / "csv" / f"version_{version}"
        folder.mkdir(parents=True)
        (folder / "metrics.csv").write_text("step,val/wer\n" + "\n".join(rows) + "\n")
    assert history(tmp_path, "val/wer") == [0.9, 0.7, 0.5, 0.4]
    assert history(tmp_path, "val/cer") == []


def test_a_table_comes_back(tmp_path):
    results = [
        Result(2, {"a.x": 0.2, "b.x": "u"}, FAILED, None, None, 1.0),
        Result(1, {"a.x": 0.1, "b.x": "v"}, DONE, 0.5, 0.6, 2.25),
    ]
    write_table(tmp_path, results, ["a.x", "b.x"])
    lines = (tmp_path / "results.csv").read_text().splitlines()
    assert lines == ["run,state,best,last,seconds,a.x,b.x", "1,done,0.5,0.6,2.2,0.1,v", "2,failed,,,1.0,0.2,u"]
    assert set(finished_runs(tmp_path)) == {1}


def test_the_summary_is_ranked_by_the_goal():
    results = [
        Result(n, {"m.init_args.lr": n / 10}, DONE, best, best, 1.0) for n, best in ((1, 0.5), (2, 0.9), (3, 0.7))
    ]
    results.append(Result(4, {"m.init_args.lr": 0.4}, FAILED, None, None, 1.0))

    def order(maximize):
        return [line.split()[0] for line in summary(results, "val/x", maximize, ["m.init_args.lr"]).splitlines()[1:]]

    assert order(maximize=True) == ["2", "3", "1", "4"]
    assert order(maximize=False) == ["1", "3", "2", "4"]


def test_keys_are_shortened_to_what_tells_them_apart():
    keys = ["model.init_args.encoder.init_args.dropout", "model.init_args.decoder.init_args.dropout"]
    header = summary([], "val/x", False, keys).splitlines()[0]
    assert "encoder.dropout" in header
    assert "model" not in header
