#!/usr/bin/env bash
# Proves the test hosts: on every engine and with every Compose implementation, a PostgreSQL with its data in a bind mount and
# an application beside it that finds the database by its service's name and answers on a published port; stopped and started
# again with its rows; then a push to the local registry and pulls from it. Run by `scripts/test-hosts.sh check`.
#
# shellcheck disable=SC2317 # functions are called through `attempt`
set -euo pipefail

HOSTS="$(dirname "$(dirname "$(readlink -f "$0")")")/test-hosts.sh"
eval "$("$HOSTS" env)"
REGISTRY="$CARETAKER_TEST_REGISTRY"
# Below /tmp and open to all: the users must be able to enter it, and its bind mounts are theirs.
ROOM="$(mktemp -d /tmp/caretaker-check.XXXXXX)"
chmod 755 "$ROOM"
FAILED=0
trap 'rm -rf "$ROOM"' EXIT

say() { printf '%s\n' "$*"; }
as() {
  local user="$1"
  shift
  "$HOSTS" as "$user" -- "$@"
}

write_project() {
  local dir="$1" port="$2" user="$3"
  mkdir -p "$dir/database"
  cat >"$dir/compose.yml" <<TEXT
version: '3'
services:
  database:
    image: postgres:17-alpine
    restart: always
    environment:
      POSTGRES_PASSWORD: check
      POSTGRES_DB: check
    volumes:
      - ./database:/var/lib/postgresql/data
  app:
    image: localhost/caretaker-test/base:1
    restart: always
    entrypoint: [python3, -u, /srv/app.py]
    stop_signal: SIGKILL
    depends_on:
      - database
    ports:
      - 127.0.0.1:$port:8000
    volumes:
      - ./app.py:/srv/app.py:ro
TEXT
  cat >"$dir/app.py" <<'TEXT'
import http.server, os, psycopg2
class Count(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == '/die':
            os._exit(1)
        try:
            with psycopg2.connect(host='database', dbname='check', user='postgres', password='check', connect_timeout=5) as c:
                cursor = c.cursor()
                cursor.execute('create table if not exists visits (n serial)')
                cursor.execute('insert into visits default values returning n')
                status, body = 200, str(cursor.fetchone()[0])
        except Exception as error:
            status, body = 503, str(error)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())
http.server.ThreadingHTTPServer(('', 8000), Count).serve_forever()
TEXT
  chown -R "$user:" "$dir"
}

# netavark 1.4 takes a container's DNS and gateway away for some 40 s in about a quarter of the `up`s.
answer() {
  local port="$1" deadline=$((SECONDS + 120)) body
  while [ "$SECONDS" -lt "$deadline" ]; do
    if body="$(curl --silent --fail --noproxy '*' --max-time 8 "http://127.0.0.1:$port/")"; then
      printf '%s\n' "$body"
      return
    fi
    sleep 1
  done
  say "no answer on port $port within 120 s" >&2
  return 1
}

# attempt NAME FUNCTION ARGS... : runs it with -e in force (a condition around it would switch that off) and a log of its own.
attempt() {
  local name="$1" began="$SECONDS" code
  shift
  set +e
  (
    set -e
    "$@"
  ) >"$ROOM/$name.log" 2>&1
  code=$?
  set -e
  if [ "$code" = 0 ]; then
    say "ok      $name: $(tail -n 1 "$ROOM/$name.log"), $((SECONDS - began)) s"
  else
    FAILED=1
    say "FAILED  $name"
    tail -n 40 "$ROOM/$name.log"
  fi
}

# check_project NAME USER PORT COMPOSE...
check_project() {
  local name="$1"
  write_project "$ROOM/$name" "$3" "$2"
  attempt "$name" run_project "$@"
  attempt "$name-down" end_project "$@"
}

run_project() {
  local dir="$ROOM/$1" user="$2" port="$3" first second third owner
  shift 3
  cd "$dir"
  as "$user" "$@" up -d
  first="$(answer "$port")"
  owner="$(stat -c '%a %u' database)"

  as "$user" "$@" stop
  if curl --silent --noproxy '*' --max-time 3 "http://127.0.0.1:$port/"; then
    say 'it still answers after stop'
    return 1
  fi
  as "$user" "$@" start
  second="$(answer "$port")"
  [ "$second" -gt "$first" ]

  # `restart: always`: the application ends by itself and comes back.
  curl --silent --noproxy '*' --max-time 3 "http://127.0.0.1:$port/die" || true
  third="$(answer "$port")"
  [ "$third" -gt "$second" ]
  say "visits $first, $second after stop and start, $third after a crash; ./database is $owner"
}

end_project() {
  local dir="$ROOM/$1" user="$2"
  shift 3
  cd "$dir"
  as "$user" "$@" down -v
  say 'removed'
}

check_registry() {
  local name="$REGISTRY/caretaker-check/base:1" user
  as root docker tag localhost/caretaker-test/base:1 "$name"
  as root docker push -q "$name"
  as root docker rmi "$name"
  as "$CARETAKER_TEST_DOCKER_USER" docker pull -q "$name"
  as "$CARETAKER_TEST_DOCKER_USER" docker rmi "$name"
  for user in root "$CARETAKER_TEST_ROOTLESS_USER"; do
    as "$user" podman pull -q "$name"
    as "$user" podman push -q "$name"
    as "$user" podman untag "$name" "$name"
  done
  say 'pushed and pulled by docker, rootful and rootless podman'
}

# What the tests are there to cope with: nobody but root reads root's files, and the runner's user cannot read the database.
check_users() {
  local user
  for user in "$CARETAKER_TEST_ROOTLESS_USER" "$CARETAKER_TEST_DOCKER_USER"; do
    if as "$user" cat /etc/shadow; then return 1; fi
    [ "$(as "$user" "$CARETAKER_TEST_NODE24" --version | cut -d. -f1)" = v24 ]
    as "$user" "$CARETAKER_TEST_ACT" --version
  done
  say 'both users run node 24 and act, and read nothing of root'
}

main() {
  local old="$CARETAKER_TEST_PODMAN_COMPOSE_103_DIR/podman-compose" new="$CARETAKER_TEST_PODMAN_COMPOSE_160_DIR/podman-compose"
  local rootless="$CARETAKER_TEST_ROOTLESS_USER"
  check_project docker-root root 18601 docker compose
  check_project docker-user "$CARETAKER_TEST_DOCKER_USER" 18602 docker compose
  check_project podman-root-103 root 18603 "$old"
  check_project podman-root-160 root 18604 "$new"
  check_project podman-rootless-103 "$rootless" 18605 "$old"
  check_project podman-rootless-160 "$rootless" 18606 "$new"
  attempt registry check_registry
  attempt users check_users
  exit "$FAILED"
}

main
