#!/bin/sh
# What a Quorate client needs of etcd, and nothing else:
#
#	role.sh PREFIX ROLE USER [OPTION]
#
# makes ROLE, which may do what a session with session.Options.Prefix PREFIX
# does, and USER, who has that role and no other. For services that share locks
# and elections, and so a prefix, one role serves several users; run the last two
# commands for each. Services that must not meddle with each other get a prefix,
# a role and a user each.
#
# USER has no password: he is who shows a certificate with that common name, to
# members with --client-cert-auth. For one with a password, OPTION is
# --interactive=false, and the password is read from the standard input.
#
# etcdctl finds the members and its own credentials, those of root, in its usual
# variables (ETCDCTL_ENDPOINTS, ETCDCTL_CACERT, ETCDCTL_CERT, ETCDCTL_KEY,
# ETCDCTL_USER). None of this counts before "etcdctl auth enable".
set -eu
prefix=$1 role=$2 user=$3 option=${4:---no-password}

# All keys of all primitives, and nothing beside them. Read alone is not enough
# for anybody, also not for who only observes: whoever has a session writes its
# record. Write alone is not enough either: each write is conditional, and a
# condition reads. The slash keeps the neighbour "PREFIX-2" out.
etcdctl role add "$role"
etcdctl role grant-permission "$role" readwrite --prefix "$prefix/"

# A lock or an election that is used verbatim (Options.Verbatim), together with
# others, is outside the prefix, and so needs a right of its own:
#
#	etcdctl role grant-permission "$role" readwrite --prefix NAME/

# Leases need no right here. Any user may grant one. To put a key on it, to renew
# it (etcd 3.7, 3.6.16 and 3.5.33; not 3.6.8) and to revoke it takes the right to
# write every key that hangs on it already, which are the session's own. A lease
# that the program brings along (session.Options.Lease) may have others.

etcdctl user add "$user" "$option"
etcdctl user grant-role "$user" "$role"
