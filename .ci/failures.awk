# Copyright The Quorate Authors
# SPDX-License-Identifier: Apache-2.0
#
# Of the output of "go test -v": what the failed tests said that have no failed
# test below them, and in the last lines their names with what they wanted.

/^=== (RUN|CONT|NAME|PAUSE) / { current = $3; next }
/^ *--- FAIL: / {
	name = $0
	sub(/^ *--- FAIL: /, "", name)
	sub(/ \([0-9.]+s\)$/, "", name)
	failed[name] = 1
	order[++tests] = name
	next
}
/^(ok|FAIL)[ \t]/ { current = "" }
/^FAIL\t/ { packages = packages $2 "\n" }
/^panic: |^fatal error: |^WARNING: DATA RACE/ { loud = 40 }
loud > 0 { crash = crash $0 "\n"; loud-- }
current != "" { said[current] = said[current] $0 "\n" }
current != "" && /Error:  |Messages:  / { sub(/^[ \t]+/, ""); wanted[current] = wanted[current] "\n   " substr($0, 1, 150) }

END {
	printf "%s", crash
	for (i = 1; i <= tests; i++) {
		leaf = 1
		for (other in failed) if (index(other, order[i] "/") == 1) leaf = 0
		if (!leaf) continue
		text = said[order[i]]
		if (length(text) > 3000) text = "[...]" substr(text, length(text) - 3000)
		printf "\n-- %s\n%s", order[i], text
		short = short order[i] substr(wanted[order[i]], 1, 400) "\n"
	}
	printf "\nfailed:\n%s%s", packages, short
}
