// Uses the page as a person would, and tells the test what came of it.

const told = { errors: [] };
addEventListener("error", (event) => told.errors.push(String(event.message || event.target.src)), true);
addEventListener("unhandledrejection", (event) => told.errors.push(String(event.reason)));
addEventListener("securitypolicyviolation", (event) => told.errors.push(event.violatedDirective));

const until = async (what) => {
  for (let tries = 0; tries < 200; tries++) {
    const found = what();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`never came: ${what}`);
};
const find = (selector) => document.querySelector(selector);
const outputOf = (form) => find(`output[for=${form}]`);
const idle = (form) => !find(`#${form} [type=submit]`).disabled;
const played = async () => {
  const audio = await until(() => idle("measure") && outputOf("measure").querySelector("audio"));
  await until(() => audio.readyState > 0);
  return audio.duration;
};

function wav(samples) {
  const head = [0x46464952, 36 + 2 * samples, 0x45564157, 0x20746d66, 16, 0x10001, 8000, 16000, 0x100002, 0x61746164];
  return new File([new Uint32Array([...head, 2 * samples]), new Int16Array(samples)], "half.wav", { type: "audio/wav" });
}

async function use() {
  const text = find("#shout-text");
  text.value = "hello";
  find("#shout [type=submit]").click();
  told.said = (await until(() => outputOf("shout").querySelector(".said"))).textContent;
  text.value = "x".repeat(21);
  find("#shout [type=submit]").click();
  told.wrong = (await until(() => outputOf("shout").querySelector(".wrong"))).textContent;

  find("#measure [type=submit]").click();
  told.nothing = (await until(() => outputOf("measure").querySelector(".wrong"))).textContent;
  const held = new DataTransfer();
  held.items.add(wav(4000));
  find("#measure .drop").dispatchEvent(new DragEvent("drop", { dataTransfer: held, cancelable: true }));
  find("#measure [type=submit]").click();
  told.dropped_s = await played();

  outputOf("measure").replaceChildren();
  find(".record").click();
  await until(() => find(".record").getAttribute("aria-pressed") === "true");
  await new Promise((resolve) => setTimeout(resolve, 1000));
  find(".record").click();
  told.recorded_s = await played();

  const controls = [...document.querySelectorAll("input, select, textarea")];
  told.unlabelled = controls.filter((control) => !control.labels.length).map((control) => control.id);
  told.wider = document.documentElement.scrollWidth > innerWidth;
}

use().catch((error) => told.errors.push(String(error))).finally(() =>
  fetch("probed", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(told) }));
