// What a person does in a browser in the device flow: opens the page, enters the code, confirms, logs in, consents.
//
//   NODE_EXTRA_CA_CERTS=ca.pem node browser.mjs URL CODE LOGIN
const [start, code, login] = process.argv.slice(2);
const STEPS_MAX = 20;
const cookies = new Map();

async function load(url, form) {
  const headers = { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') };
  const asked = form ? { method: 'POST', body: new URLSearchParams(form) } : {};
  const answer = await fetch(url, { ...asked, headers, redirect: 'manual' });
  for (const cookie of answer.headers.getSetCookie()) {
    const [pair] = cookie.split(';');
    const at = pair.indexOf('=');
    cookies.set(pair.slice(0, at), pair.slice(at + 1));
  }
  return answer;
}

let url = new URL(start);
let form;
for (let step = 0; step < STEPS_MAX; step += 1) {
  const answer = await load(url, form);
  form = undefined;
  if (answer.status >= 300 && answer.status < 400) {
    url = new URL(answer.headers.get('location'), url);
    continue;
  }
  const page = await answer.text();
  if (!answer.ok) throw new Error(`${url} answers with ${answer.status}: ${page}`);
  if (page.includes('Sign-in Success')) process.exit(0);
  const shape = page.match(/<form[^>]*>[\s\S]*?<\/form>/);
  if (!shape) throw new Error(`${url} has no form: ${page}`);
  const attribute = (tag, name) => tag.match(new RegExp(`\\b${name}="([^"]*)"`))?.[1];
  const fields = {};
  for (const [tag] of shape[0].matchAll(/<input[^>]*>/g)) {
    const name = attribute(tag, 'name');
    if (name) fields[name] = { user_code: code, login }[name] ?? attribute(tag, 'value') ?? '';
  }
  url = new URL(attribute(shape[0], 'action') ?? url, url);
  if (attribute(shape[0], 'method') === 'get') {
    url.search = new URLSearchParams(fields);
  } else {
    form = fields;
  }
}
throw new Error('the login does not come to an end');
