#!/usr/bin/env node
/** The command line's entry: an older Node can't even load the program, and would say so with a stack. */
const [major = 0] = process.versions.node.split('.').map(Number);
if (major < 24) {
  process.stderr.write(
    `Compose Caretaker needs Node 24 or newer, and this is ${process.version} [node-too-old]\n` +
      '  A runner brings one: externals/node24/bin/node in its folder.\n',
  );
  process.exitCode = 1;
} else {
  await import('./shell.ts');
}

// A module, for the await above.
export {};
