"""Turn a stream of lead interactions into leads that know their stage and score."""
