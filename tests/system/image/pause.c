/* Does nothing until it is told to end. Runs in: tests, as the process that keeps a sandbox of containerd's. */
#include <signal.h>
#include <unistd.h>

static void
end(int sig)
{
	(void)sig;
	_exit(0);
}

int
main(void)
{
	signal(SIGTERM, end); /* process 1 of its namespace: without a handler the signal would be dropped */
	for (;;)
		pause();
}
