"""Bring records in from Kafka, CSV and files, and send records out."""
