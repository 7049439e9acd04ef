"""Requests of peers: what carries them does not matter. Their answers over HTTP are in test_network.py."""

from __future__ import annotations

import threading

from edgeirf.runtime.triggers.requests import Requests


def test_parts_without_an_id_are_counted_once_each_by_any_number_of_threads() -> None:
    requests, ids = Requests(), []
    requests.announce = lambda part_id, at: ids.append(part_id) is None
    threads = [threading.Thread(target=lambda: [requests.answer("trigger", {}) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ids) == list(range(1, 201))


def test_acknowledgements_and_heartbeats_need_a_line() -> None:
    assert Requests().answer("ack", {"operator": "Ana"})[0] == 404
    assert Requests().answer("heartbeat", {"count": 1})[0] == 404
