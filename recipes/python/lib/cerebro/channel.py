"""Lines of JSON to and from the daemon: descriptor 3 is its side's writing, descriptor 4 is ours."""

import json
import os
import threading


class Channel:
    def __init__(self, reading=3, writing=4):
        # Programs that a recipe starts here must not hold these open.
        os.set_inheritable(reading, False)
        os.set_inheritable(writing, False)
        self._reading = os.fdopen(reading, "r", encoding="utf-8")
        self._writing = os.fdopen(writing, "w", encoding="utf-8")
        self._lock = threading.RLock()
        self._last_id = 0

    def read(self):
        line = self._reading.readline()
        if line == "":
            raise SystemExit("the daemon is gone")
        return json.loads(line)

    def send(self, **message):
        with self._lock:
            self._writing.write(json.dumps(message) + "\n")
            self._writing.flush()

    def call(self, name, **arguments):
        """Asks for something and waits for the answer: (result, error)."""
        with self._lock:
            self._last_id += 1
            given = {key: value for key, value in arguments.items() if value is not None}
            self.send(call=name, id=self._last_id, **given)
            answer = self.read()
            return answer.get("result"), answer.get("error")
