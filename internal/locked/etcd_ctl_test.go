// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package locked

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/servers"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// envEtcdctl makes the test binary an etcdctl.
const envEtcdctl = "QUORATE_TEST_ETCDCTL"

// roleFile is what operators are given.
const roleFile = "../../deploy/etcd/role.sh"

// giveRole runs the file, with an etcdctl that is the test binary. A password
// that is not empty is the user's.
func giveRole(t testing.TB, e *servers.Etcd, prefix, role, user, password string) {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.Symlink(exe, filepath.Join(dir, "etcdctl")))
	args := []string{roleFile, prefix, role, user}
	if password != "" {
		args = append(args, "--interactive=false")
	}
	cert, key := e.Authority().Issue(t, "root")
	cmd := exec.CommandContext(within(t, patience), "sh", args...)
	cmd.Env = append(os.Environ(), envEtcdctl+"=1", "PATH="+dir, "ETCDCTL_ENDPOINTS="+strings.Join(e.Endpoints(), ","),
		"ETCDCTL_CACERT="+e.Authority().CAFile(), "ETCDCTL_CERT="+cert, "ETCDCTL_KEY="+key)
	cmd.Stdin = strings.NewReader(password + "\n")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s: %s", roleFile, out)
}

// etcdctl does what etcdctl does with the commands that the file has, and
// refuses all others.
func etcdctl(args []string) int {
	tls, err := transport.TLSInfo{
		TrustedCAFile: os.Getenv("ETCDCTL_CACERT"), CertFile: os.Getenv("ETCDCTL_CERT"), KeyFile: os.Getenv("ETCDCTL_KEY"),
	}.ClientConfig()
	if err == nil {
		var c *clientv3.Client
		c, err = clientv3.New(clientv3.Config{
			Endpoints: strings.Split(os.Getenv("ETCDCTL_ENDPOINTS"), ","), TLS: tls, Logger: zap.NewNop(),
		})
		if err == nil {
			defer c.Close()
			err = run(c, args)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "etcdctl:", err)
		return 1
	}
	return 0
}

func run(c *clientv3.Client, args []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second) // etcdctl's own
	defer cancel()
	flags := map[string]bool{}
	var words []string
	for _, arg := range args {
		if strings.HasPrefix(arg, "-") {
			flags[arg] = true
		} else {
			words = append(words, arg)
		}
	}
	is := func(n int, command string, known ...string) bool {
		for _, flag := range known {
			delete(flags, flag)
		}
		return len(words) == n && strings.HasPrefix(strings.Join(words, " ")+" ", command+" ") && len(flags) == 0
	}
	prefix, none, asked := flags["--prefix"], flags["--no-password"], !flags["--interactive=false"]
	var err error
	switch {
	case is(3, "role add"):
		_, err = c.RoleAdd(ctx, words[2])
	case is(5, "role grant-permission", "--prefix"):
		end := ""
		if prefix {
			end = clientv3.GetPrefixRangeEnd(words[4])
		}
		var kind clientv3.PermissionType
		if kind, err = clientv3.StrToPermissionType(words[3]); err == nil {
			_, err = c.RoleGrantPermission(ctx, words[2], words[4], end, kind)
		}
	case is(3, "user add", "--no-password", "--interactive=false"):
		password := ""
		if !none {
			if asked {
				return errors.New("would ask for a password")
			}
			if _, err := fmt.Scanf("%s", &password); err != nil {
				return err
			}
		}
		_, err = c.UserAddWithOptions(ctx, words[2], password, &clientv3.UserAddOptions{NoPassword: none})
	case is(4, "user grant-role"):
		_, err = c.UserGrantRole(ctx, words[2], words[3])
	default:
		err = fmt.Errorf("unknown command or option: %q", args)
	}
	return err
}
