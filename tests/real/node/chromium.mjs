// Chromium, waiting for those who use it; each gets a profile of its own.
//
// usage: node chromium.mjs FILE
//
// Writes to FILE where it is. It knows no names but this machine's.

import { writeFileSync } from 'node:fs';

import { chromium } from 'playwright-core';

const server = await chromium.launchServer({
  executablePath: '/usr/bin/chromium',
  host: '127.0.0.1',
  chromiumSandbox: false,
  args: [
    '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
    '--disable-sync', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
  ],
});
process.on('SIGTERM', () => server.close().then(() => process.exit(0)));
writeFileSync(process.argv[2], server.wsEndpoint());
