# What a Quorate client needs of Consul, and nothing else. It is for services
# whose keys are below "quorate" (session.Options.Prefix) and whose leases hang
# on the catalog node "quorate" (consul.Options.Node); replace each where it
# differs.
#
#   consul acl policy create -name quorate -rules @policy.hcl
#   consul acl token create -description "service x" -policy-name quorate
#
# Whoever has this policy can end the leases of all others who have it: they
# share the node. Services that must not be able to do that to each other need
# nodes of their own, and prefixes.

# Locks, elections, sessions' records: the prefix and a slash. A name that is
# used verbatim (Options.Verbatim) needs a rule of its own: key, that name, write.
key_prefix "quorate/" {
  policy = "write"
}

# The one key that the adapter keeps for itself: the node's name and "/node".
key "quorate/node" {
  policy = "write"
}

# Leases: sessions on the node. A right to sessions on other nodes is not
# needed; session_prefix "" would allow to end everybody's.
session "quorate" {
  policy = "write"
}

# To make the node, which no agent has, and to see that it still is the same.
node "quorate" {
  policy = "write"
}
