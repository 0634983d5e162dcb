// The interface of the server; the page uses nothing else.

let token = "";
let most = Infinity; // megabytes of a file

export class Trouble extends Error {}

async function ask(method, path, { body, type } = {}) {
  const headers = method === "GET" ? {} : { "X-CSRFToken": token };
  if (type) headers["Content-Type"] = type;
  let answer;
  try {
    answer = await fetch(path, { method, headers, body, credentials: "same-origin" });
  } catch {
    throw new Trouble("The server does not answer. Is it running?");
  }
  if (answer.status === 401) location.assign("/login");
  if (answer.status === 204) return null;
  const data = await answer.json().catch(() => ({ error: `The server answered ${answer.status}.` }));
  if (!answer.ok) throw Object.assign(new Trouble(data.error), { status: answer.status });
  return data;
}

export async function begin() {
  const session = await ask("GET", "/api/session");
  token = session.token;
  most = session.limits.max_upload_mb;
  return session;
}

export async function catalogue() {
  for (;;) {
    try {
      return await ask("GET", "/api/catalogue");
    } catch (error) {
      if (error.status !== 503) throw error;
      await pause(700); // the painter is still starting
    }
  }
}

// Uploads a picture, and waits until the painter has looked at it.
export async function upload(blob) {
  if (blob.size > most * 1e6) {
    throw new Trouble(`This file has ${Math.ceil(blob.size / 1e6)} MB; at most ${most} MB fit here.`);
  }
  let found = await ask("POST", "/api/uploads", { body: blob, type: "application/octet-stream" });
  while (found.state === "new") {
    await pause(150);
    found = await ask("GET", `/api/uploads/${found.id}`);
  }
  if (found.state === "refused") throw new Trouble(`This picture ${found.message}`);
  return found;
}

const sent = (data) => ({ body: JSON.stringify(data), type: "application/json" });
export const jobs = (before) => ask("GET", `/api/jobs${before ? `?before=${before}` : ""}`);
export const job = (id) => ask("GET", `/api/jobs/${id}`);
export const paint = (request) => ask("POST", "/api/jobs", sent(request));
export const sweep = (request) => ask("POST", "/api/sweeps", sent(request));
export const sweepOf = (id) => ask("GET", `/api/sweeps/${id}`);
export const stop = (id) => ask("POST", `/api/jobs/${id}/stop`);
export const remove = (id) => ask("DELETE", `/api/jobs/${id}`);
export const known = (id) => ask("GET", `/api/uploads/${id}`);
export const preview = (id) => `/api/uploads/${id}/preview.jpg`;
export const picture = (job, file) => `/api/jobs/${job.id}/${file}?v=${job.version}`;
export const saved = (job, file) => `/api/jobs/${job.id}/${file}?save`;

// Tells of a job whenever it changes, until it has ended. A browser reconnects by itself, so a
// server that is started again in the middle is only silent for a while.
export function follow(id, told) {
  const events = new EventSource(`/api/jobs/${id}/events`);
  events.onmessage = (event) => {
    const job = JSON.parse(event.data);
    if (ended(job)) events.close();
    told(job);
  };
  events.addEventListener("gone", () => {
    events.close();
    told(null);
  });
  events.onerror = async () => {
    if (events.readyState !== EventSource.CLOSED) return; // it tries again
    await pause(1500);
    try {
      await job(id);
      closing = follow(id, told);
    } catch (error) {
      if (error.status === 404) told(null);
      else events.onerror();
    }
  };
  let closing = () => events.close();
  return () => closing();
}

export const ended = (job) => job.state === "done" || job.state === "failed";
export const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
