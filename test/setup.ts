// What all tests share. On a machine with systemd, the agent would install units for the folders of tests.
process.env.XSCHED_TRITON_SYSTEMD ??= "/nonexistent/systemd";
