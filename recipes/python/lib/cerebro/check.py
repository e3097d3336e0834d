"""python3 -m cerebro.check NAME: whether a name is a recipe that can be loaded. Its answer is one line on descriptor 4."""

import sys
import traceback

from cerebro.channel import Channel
from cerebro.find_recipe import NoRecipe, find_recipe


def main():
    channel = Channel()
    try:
        channel.send(file=find_recipe(sys.argv[1])[1])
    except NoRecipe as error:
        channel.send(problem=str(error))
    except BaseException:
        # The last lines are the error and where it was raised.
        lines = traceback.format_exc().strip().splitlines()
        channel.send(problem="importing it failed: " + " | ".join(line.strip() for line in lines[-3:]))


main()
