"""OpenSeq2Seq's classifiers of pictures and of speech commands as configs of this package."""
