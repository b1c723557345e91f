# What a Quorate client needs of Consul, and nothing else. For services whose
# keys are below "quorate" (session.Options.Prefix) and whose leases hang on the
# catalog node "quorate" (consul.Options.Node); replace each where it differs.
#
#   consul acl policy create -name quorate -rules @policy.hcl
#   consul acl token create -description "service x" -policy-name quorate

# Locks, elections, sessions' records; and quorate/node, the adapter's own key.
# A name used verbatim (Options.Verbatim) needs a rule of its own, "key" with
# that name.
key_prefix "quorate/" {
  policy = "write"
}

# Leases: sessions on the node "quorate". A right to sessions on other nodes is
# not needed; session_prefix "" would allow to end everybody's.
session "quorate" {
  policy = "write"
}

# To make that node, which no agent has, and to see that it still is the same.
node "quorate" {
  policy = "write"
}
