// Nobody imports this module. It keeps the peers that are raced against out of
// the requirements of users. Together with go.work, which takes the module
// above from the directory above, it needs no requirements of its own: those
// of a workspace are those of all its modules.
module github.com/quorate/quorate/bench

go 1.26.0
