"""python3 -m cerebro.run_recipe: runs the recipe that the daemon names on descriptor 3."""

import logging
import traceback

from cerebro import recipe as hands
from cerebro.channel import Channel
from cerebro.find_recipe import call_run_deploy, find_recipe


class TimelineHandler(logging.Handler):
    """Hands log records to the daemon."""

    def __init__(self, channel):
        logging.Handler.__init__(self)
        self._channel = channel

    def emit(self, record):
        if record.levelno >= logging.ERROR:
            level = "error"
        elif record.levelno >= logging.WARNING:
            level = "warn"
        else:
            level = "info" if record.levelno >= logging.INFO else "debug"
        try:
            message = self.format(record)
        except Exception:
            # A message that does not fit its arguments is the recipe's mistake, but no reason to fail.
            message = str(record.msg)
        self._channel.send(log=level, message=message)


def main():
    channel = Channel()
    context = channel.read()
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[TimelineHandler(channel)])
    try:
        make, _ = find_recipe(context["recipe"])
        recipe = make(channel, context)
        hands.set_current(recipe)
        if call_run_deploy(recipe) is False:
            channel.send(end=True, failure={"message": "run_deploy returned False", "traceback": ""})
        else:
            channel.send(end=True, failure=None)
    except BaseException as error:
        message = "%s: %s" % (type(error).__name__, error)
        channel.send(end=True, failure={"message": message, "traceback": traceback.format_exc()})


main()
