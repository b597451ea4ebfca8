"""Measurements that print ratios and bounds; none of them is a test."""
