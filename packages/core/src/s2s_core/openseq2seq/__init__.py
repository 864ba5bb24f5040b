"""OpenSeq2Seq's Python configs, read without being run, as configs of this toolkit."""
