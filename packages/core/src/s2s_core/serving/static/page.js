// The forms: what a person types, drops or records goes to the endpoint, and the answer is shown or played.

import { element, show } from "./answer.js";
import { record, toWav } from "./sound.js";

const SERVER_READS = /\.(wav|flac|ogg|oga|opus|mp3|sph|nist|aiff?|au)$/i;

function fail(form, error) {
  outputOf(form).replaceChildren(element("p", { class: "wrong", role: "alert" }, error.message || String(error)));
}

function outputOf(form) {
  return form.parentElement.querySelector("output");
}

function typed(form) {
  const question = {};
  for (const control of form.querySelectorAll("[name]")) {
    if (control.dataset.kind === "boolean") question[control.name] = control.checked;
    else if (control.value === "") continue;
    else question[control.name] = control.dataset.kind === "number" ? Number(control.value) : control.value;
  }
  return { body: JSON.stringify(question), headers: { "Content-Type": "application/json" } };
}

async function uploaded(drop) {
  if (!drop.chosen) throw new Error(`choose, drop or record something first`);
  let file = drop.chosen;
  if (drop.dataset.media === "audio" && !SERVER_READS.test(file.name)) file = await toWav(file);
  const body = new FormData();
  body.append("file", file, file.name);
  return { body };
}

async function ask(form) {
  const drop = form.querySelector(".drop");
  const request = drop ? await uploaded(drop) : typed(form);
  const response = await fetch(form.getAttribute("action"), { method: "POST", ...request });
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    throw new Error(problem.detail || `${response.status} ${response.statusText}`);
  }
  if (!response.headers.get("Content-Type").startsWith("audio/")) return show(await response.json());
  const url = URL.createObjectURL(await response.blob());
  return [
    element("audio", { controls: "", src: url }),
    element("p", {}, element("a", { href: url, download: `${form.id}.wav` }, "download")),
  ];
}

async function submit(event) {
  event.preventDefault();
  const form = event.target;
  const [button, status] = [form.querySelector("[type=submit]"), form.querySelector(".status")];
  button.disabled = true;
  status.textContent = "working …";
  const began = performance.now();
  try {
    outputOf(form).replaceChildren(...(await ask(form)));
    status.textContent = `${((performance.now() - began) / 1000).toFixed(2)} s`;
  } catch (error) {
    status.textContent = "";
    fail(form, error);
  } finally {
    button.disabled = false;
  }
}

function choose(drop, file) {
  if (!file) return;
  drop.chosen = file;
  const url = URL.createObjectURL(file);
  const sees = drop.dataset.media === "image";
  const preview = sees ? element("img", { src: url, alt: file.name }) : element("audio", { controls: "", src: url });
  drop.querySelector(".preview").replaceChildren(element("p", {}, file.name), preview);
}

function listen(drop, form) {
  const button = drop.querySelector(".record");
  if (!button) return;
  let running = null;
  button.addEventListener("click", async () => {
    try {
      if (running) {
        const stopped = running;
        running = null;
        button.setAttribute("aria-pressed", "false");
        button.textContent = "record";
        choose(drop, await stopped.stop());
        form.requestSubmit();
      } else {
        if (!navigator.mediaDevices) throw new Error("the browser records on localhost and over https only");
        running = await record();
        button.setAttribute("aria-pressed", "true");
        button.textContent = "stop and send";
      }
    } catch (error) {
      fail(form, error);
    }
  });
}

for (const form of document.forms) {
  form.addEventListener("submit", submit);
  const drop = form.querySelector(".drop");
  if (!drop) continue;
  drop.querySelector("input").addEventListener("change", (event) => choose(drop, event.target.files[0]));
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    choose(drop, event.dataTransfer.files[0]);
  });
  listen(drop, form);
}
