"""OpenSeq2Seq's language models and classifiers of texts as configs of this package."""
