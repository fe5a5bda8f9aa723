/** The second of two suites that run side by side has a rootless user of its own: two Podmans, two storages. */
const second = process.env['CARETAKER_TEST_ROOTLESS_USER_2'];
if (process.env['JEST_WORKER_ID'] === '2' && second !== undefined) process.env['CARETAKER_TEST_ROOTLESS_USER'] = second;
