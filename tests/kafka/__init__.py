"""Run real brokers for the tests: Apache Kafka from Maven Central, Tansu where that is missing."""
