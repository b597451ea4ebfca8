"""Telling people of outages without Alertmanager: what is told when, in which words, and the way.

plan      what a target is told of a provider, and when      pure
message   a notice in words, and as JSON                      pure
send      one try: a webhook, or Apprise in a thread
channel   a queue a target, delivered with patience
book      what was told, so that a restart does not tell it twice
notifier  hears how the checks stand, and drives the rest
"""
