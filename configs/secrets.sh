#!/bin/sh
# Makes the files that docker-compose.yml gives its containers as secrets, in ./secrets:
#   XNOVU_NOVU_KEY=… configs/secrets.sh            and, for the profile supabase, XNOVU_SUPABASE_KEY, too
# Passwords are random. What is there already stays: delete a file to have it made anew.
# The folder is its owner's alone; the files in it can be read by whatever user a container runs as.
set -eu
cd "$(dirname "$0")/.."
umask 077
mkdir -p secrets
cd secrets

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

keep() { # keep NAME VALUE
  [ -s "$1" ] || printf '%s\n' "$2" >"$1"
  chmod 644 "$1"
}

keep postgres_password "$(random)"
keep database_url "postgresql://postgres:$(cat postgres_password)@postgres:5432/postgres"
keep nats_password "$(random)"
keep nats_url "nats://xnovu:$(cat nats_password)@nats:4222"
keep nats_auth.conf "authorization { user: xnovu, password: \"$(cat nats_password)\" }"
keep novu_key "${XNOVU_NOVU_KEY:?the secret key of your Novu environment}"
keep supabase_url "${XNOVU_SUPABASE_URL:-http://host.docker.internal:54321}"
if [ -n "${XNOVU_SUPABASE_KEY:-}" ]; then keep supabase_key "$XNOVU_SUPABASE_KEY"; fi
