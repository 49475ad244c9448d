// A person at a browser: Chromium, signing in at whatever page it is sent to, as ada@example.com.
//
// usage: node browser.mjs FOLDER NAME WHAT URL [USER_CODE]
//
// WHAT:  allow    sign in, consent, and judge the page that gauth shows
//        deny     sign in, refuse, and judge the page that gauth shows
//        rude     allow, but first what a browser and others send besides: idle connections, icons, forged answers
//        address  allow; the address where it ends, where perhaps nobody listens, is what a person would copy
//        device   type USER_CODE where the page asks for it, and consent
//
// Writes to FOLDER: NAME-*.png, NAME.address, and at last NAME.said with a line for each thing looked at, "ok" or "FAIL"
// first. Exits with 1 if one failed. The browser is the one that chromium.mjs wrote to FOLDER/chromium. Nothing outside
// this machine is asked: what is from elsewhere is answered here.

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

import { chromium } from 'playwright-core';

const [folder, name, what, start, userCode] = process.argv.slice(2);
const ADA = 'ada@example.com';

const lines = [];
let stage = 'the provider';
const say = (good, text, detail) => {
  lines.push(good ? `ok   ${text}` : `FAIL ${text}${detail === undefined ? '' : `: ${JSON.stringify(detail)}`}`);
};
const local = (url) => ['127.0.0.1', 'localhost', '[::1]'].includes(new URL(url).hostname);
const outside = [];
const shot = (page, part) => page.screenshot({ path: `${folder}/${name}-${part}.png`, fullPage: true });

const redirect = new URL(start).searchParams.get('redirect_uri');
const atRedirect = (url) => redirect !== null && url.startsWith(redirect) && /[?&]state=/.test(url);

/** A page of its own, whose scripts do not run. */
async function windowOf(browser, options = {}) {
  const context = await browser.newContext({ javaScriptEnabled: false, ...options });
  await context.route((url) => !local(url.href), (route) => {
    outside.push(`${stage} ${route.request().url()}`);
    return route.fulfill({ status: 200, contentType: 'text/css', body: '' });
  });
  return context.newPage();
}

/** The status of the answer to a request. */
function asked(url, method, headers) {
  return new Promise((told) => {
    const sent = request(url, { method, headers }, (answer) => {
      answer.resume();
      told(answer.statusCode);
    });
    sent.on('error', (error) => told(error.code));
    sent.end();
  });
}

/** What else may come to the port of a login: all of it has to be ignored. */
async function rudeness() {
  const at = new URL(redirect);
  const idle = [];
  for (let count = 0; count < 20; count += 1) {
    const socket = connect(Number(at.port), at.hostname);
    socket.on('error', () => {});
    if (count % 2) socket.write('GET / HTTP/1.1\r\nHo');
    idle.push(socket);
  }
  const state = new URL(start).searchParams.get('state');
  const forged = [
    ['GET', '/favicon.ico'],
    ['GET', '/'],
    ['GET', `${at.pathname}?code=stolen`],
    ['GET', `${at.pathname}?code=stolen&state=${'A'.repeat(22)}`],
    ['GET', `${at.pathname}?error=access_denied`],
    ['GET', `${at.pathname}?error=access_denied&state=x`],
    ['GET', `${at.pathname}?code=stolen&state=${state}x`],
    ['GET', `${at.pathname}?code=stolen&state=${state}&state=${state}`],
    ['GET', `${at.pathname}?code=stolen&state=${state}&iss=https://evil.example`],
    ['GET', `${at.pathname}?code=stolen&state=${state}`, { host: `evil.example:${at.port}` }],
    ['GET', `/elsewhere?code=stolen&state=${state}`],
    ['POST', `${at.pathname}?code=stolen&state=${state}`],
    ['HEAD', `${at.pathname}?code=stolen&state=${state}`],
    ['OPTIONS', `${at.pathname}?code=stolen&state=${state}`],
  ];
  const taken = [];
  for (const [method, path, headers = {}] of forged) {
    const status = await asked(new URL(path, at), method, headers);
    if (!(status >= 400 && status < 500)) taken.push([method, path.replace(state, 'STATE'), status]);
  }
  say(taken.length === 0, 'what is not the answer is refused', taken);
  return idle;
}

/** Whether somebody takes connections there. */
function listening({ port, hostname }) {
  return new Promise((told) => {
    const socket = connect(Number(port), hostname, () => {
      socket.destroy();
      told(true);
    });
    socket.on('error', () => told(false));
  });
}

/** Goes on from the page that is shown: true when there was something to do. */
async function step(page, seen) {
  const url = page.url();
  if (await page.locator('#allow').count()) {
    if (!seen.has('consent')) await judgeConsent(page);
    seen.add('consent');
    // By the keyboard, as those do who have no mouse.
    await page.locator(what === 'deny' ? '#deny' : '#allow').press('Enter');
  } else if (await page.locator('input[name=login]').count()) {
    await page.locator('input[name=login]').fill(ADA);
    await page.locator('input[name=password]').fill('any');
    await page.locator('[type=submit]').click();
  } else if (await page.locator('input[name=user_code]:not([type=hidden])').count()) {
    if (seen.has('code')) return false;
    seen.add('code');
    if (await page.locator('#next').count()) await accessible(page.context().browser(), await page.content());
    await page.locator('input[name=user_code]').fill(userCode ?? '');
    await page.locator('[type=submit], #next').click();
  } else if (await page.locator('form[id="op.deviceConfirmForm"]').count()) {
    say((await page.locator('code').textContent()) === userCode, 'the page shows the same code');
    await page.locator('button[autofocus]').click();
  } else if (await page.locator('input[name=prompt][value=consent]').count()) {
    if (what === 'deny') await page.getByText('[ Cancel ]').click();
    else await page.locator('[type=submit]').click();
  } else {
    return false;
  }
  await page.waitForLoadState();
  return page.url() !== url || !seen.has('consent');
}

/** Contrast of two colours as WCAG computes it; the browser gives rgb(…). */
function contrast(one, other) {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\d.]+/g).slice(0, 3).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

/** Looks at a page in dark and light, wide and narrow. */
async function looks(page, part = '') {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width: 1000, height: 600 });
    const [ink, paper] = await page.evaluate(() => {
      const clear = (colour) => colour === 'rgba(0, 0, 0, 0)';
      const [body, all] = [document.body, document.documentElement].map((part) => getComputedStyle(part));
      const paper = clear(body.backgroundColor) ? all.backgroundColor : body.backgroundColor;
      // Without a colour of its own a page has the browser's, which follows color-scheme.
      return [body.color, clear(paper) ? (matchMedia('(prefers-color-scheme: dark)').matches ? 'rgb(18, 18, 18)' : 'rgb(255, 255, 255)') : paper];
    });
    const dark = contrast(paper, 'rgb(0, 0, 0)') < 3;
    say(dark === (colorScheme === 'dark'), `${colorScheme} where the person wants it`, [ink, paper]);
    say(contrast(ink, paper) >= 7, `${colorScheme}: the text is easy to read`, [ink, paper]);
    await shot(page, `${part}${colorScheme}`);
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize({ width: 320, height: 568 });
  const [wide, there] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  say(wide <= there, 'a phone shows it without scrolling sideways', [wide, there]);
  await shot(page, `${part}phone`);
}

/** axe, on a copy of the page where scripts may run. */
async function accessible(browser, html) {
  const page = await windowOf(browser, { javaScriptEnabled: true, bypassCSP: true });
  await page.route('http://127.0.0.1:1/', (route) => route.fulfill({ contentType: 'text/html; charset=utf-8', body: html }));
  await page.goto('http://127.0.0.1:1/');
  await page.addScriptTag({ path: createRequire(import.meta.url).resolve('axe-core/axe.min.js') });
  const found = await page.evaluate(async () => {
    const { violations } = await window.axe.run();
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html: where }) => where.slice(0, 80)).join(', ')}`);
  });
  say(found.length === 0, 'axe finds nothing against it', found);
  await page.context().close();
}

/** The page of the sandbox, where people consent. */
async function judgeConsent(page) {
  const text = await page.locator('body').innerText();
  say(text.includes(ADA) || (await page.getByRole('radio').count()) > 0, 'the sandbox says who signs in', text);
  say((await page.getByRole('button').count()) === 2, 'two buttons');
  await looks(page, 'consent-');
  await accessible(page.context().browser(), await page.content());
}

/** The page that gauth shows at the end. */
async function judge(browser, page, response) {
  say(response.status() === 200, 'the page is there', response.status());
  const headers = await response.allHeaders();
  const wanted = {
    'content-type': /^text\/html; *charset=utf-8$/i,
    'cache-control': /\bno-store\b/,
    'referrer-policy': /^no-referrer$/,
    'content-security-policy': /default-src 'none'/,
    'x-content-type-options': /^nosniff$/,
  };
  for (const [header, value] of Object.entries(wanted)) {
    say(value.test(headers[header] ?? ''), `${header}`, headers[header] ?? null);
  }
  const policy = headers['content-security-policy'] ?? '';
  say(!/script-src|unsafe-eval/.test(policy), 'no script may run', policy);
  say(!('set-cookie' in headers || 'access-control-allow-origin' in headers), 'neither cookies nor other origins');

  const html = await response.text();
  const secrets = ['code', 'state'].map((part) => new URL(response.url()).searchParams.get(part)).filter(Boolean);
  say(secrets.every((secret) => !html.includes(secret)), 'neither code nor state is on the page');
  say(!/<script|\son\w+=|https?:\/\//i.test(html.replace(/<!--.*?-->/gs, '')), 'neither scripts nor addresses');
  say(/\S/.test(await page.title()), 'a title', await page.title());
  say((await page.locator('html').getAttribute('lang')) === 'en', 'its language');
  say((await page.getByRole('heading', { level: 1 }).count()) === 1, 'one heading');
  say((await page.getByRole('main').count()) === 1, 'one main part');
  const text = await page.locator('body').innerText();
  writeFileSync(`${folder}/${name}.text`, text);
  if (what === 'deny') {
    say(!/signed in as/i.test(text), 'it does not say that somebody is signed in', text);
    say(/not signed in|denied|refused|declined/i.test(text), 'it says that access was denied', text);
  } else {
    say(/signed in/i.test(text), 'it says that the person is signed in', text);
    say(text.includes(ADA), 'it names the account', text);
  }
  say(/close this (window|page|tab)/i.test(text), 'it says that the window can be closed', text);
  await looks(page);
  await accessible(browser, html);
}

async function person(browser) {
  const page = await windowOf(browser);
  let answer;
  let address;
  page.on('request', (sent) => {
    if (!atRedirect(sent.url()) || !sent.isNavigationRequest()) return;
    address = sent.url();
    stage = 'the page of gauth';
    answer = sent.response();
  });
  const idle = what === 'rude' ? await rudeness() : [];
  // The last navigation fails where nobody listens.
  await page.goto(start).catch(() => {});
  const seen = new Set();
  for (let count = 0; count < 12 && address === undefined; count += 1) {
    if (!(await step(page, seen).catch((error) => address !== undefined || Promise.reject(error)))) break;
  }
  if (what === 'device') {
    const text = await page.locator('body').innerText();
    say(/success|signed in|you can (now )?close/i.test(text), 'the provider is content', text);
    await shot(page, 'end');
    return;
  }
  for (let count = 0; count < 100 && address === undefined; count += 1) await pause(50);
  say(address !== undefined, 'the provider sends the person back', page.url());
  if (address === undefined) return shot(page, 'stuck');
  writeFileSync(`${folder}/${name}.address`, address);
  const response = await answer;
  if (what === 'address') return;
  say(response !== null, 'gauth answers');
  if (response === null) return;
  await page.waitForLoadState();
  await judge(browser, page, response);
  const theirs = outside.filter((one) => one.startsWith('the page of gauth'));
  say(theirs.length === 0, 'it asks nobody else', theirs);
  for (const socket of idle) socket.destroy();
  let open = true;
  for (let count = 0; count < 40 && open; count += 1) {
    open = await listening(new URL(redirect));
    if (open) await pause(50);
  }
  say(!open, 'nobody listens there any more');
}

// Whoever waits for this person waits in vain.
setTimeout(() => {
  writeFileSync(`${folder}/${name}.said`, `${[...lines, 'FAIL the person got through in a minute'].join('\n')}\n`);
  process.exit(1);
}, 60_000).unref();
const browser = await chromium.connect(readFileSync(`${folder}/chromium`, 'utf8'));
try {
  await person(browser);
} catch (error) {
  say(false, 'the person got through', `${error.message}`.slice(0, 600));
} finally {
  await browser.close();
  writeFileSync(`${folder}/${name}.part`, `${lines.join('\n')}\n`);
  renameSync(`${folder}/${name}.part`, `${folder}/${name}.said`);
}
process.exit(lines.some((line) => line.startsWith('FAIL')) ? 1 : 0);
