/**
 * Lines for /bin/sh that kill every process with `$mark` (NAME=VALUE) in its
 * environment, what shares a session with one, and what descends
 * from one, until none is left; they fail when something survives. They need /proc, grep -z and awk, GNU's or busybox's.
 */
export const KILL_MARKED = String.raw`
n=0
while :; do
  marked=$(grep -lzFx -e "$mark" /proc/[0-9]*/environ 2>/dev/null | cut -d / -f 3)
  [ -n "$marked" ] || break
  n=$((n + 1))
  if [ "$n" -gt 100 ]; then echo "processes survive SIGKILL: "$marked >&2; exit 1; fi
  all=$(cat /proc/[0-9]*/stat 2>/dev/null | awk -v marked="$marked" -v self="$$" '
    BEGIN { split(marked, list, /[ \n]+/); for (i in list) found[list[i]] = 1 }
    { pid = $1; sub(/^.*\) /, ""); parent[pid] = $2; session[pid] = $4 }
    END {
      delete found[self]
      for (pid in found) if (pid in session && session[pid] in found) leaders[session[pid]] = 1
      do {
        grown = 0
        for (pid in parent)
          if (!(pid in found) && pid != self && (parent[pid] in found || session[pid] in leaders)) { found[pid] = 1; grown = 1 }
      } while (grown)
      for (pid in found) print pid
    }')
  kill -KILL $all 2>/dev/null || :
  sleep 0.1 2>/dev/null || sleep 1
done
`;
