/* posternctl list: what the journal holds.
 * Runs in: posternctl, as root; reads only. */
#ifndef CTL_LIST_H
#define CTL_LIST_H

#define LIST_JOURNAL "/var/lib/cni/postern/journal"

/* argv[0] is the command. The exit status. */
int list_run(int argc, char **argv);

#endif
