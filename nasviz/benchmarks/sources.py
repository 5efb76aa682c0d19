"""Which published files there are, where they come from, and which name of `load` reads them: a table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """One published file.

    Attributes
    ----------
    name : str
        What one types.
    file : str
        Its name where it is published.
    purpose : str
        What it is good for.
    load : str
        The name by which `load` reads it.
    page : str
        Where it is described, or handed out to browsers.
    licence : str
        That of the repository that publishes it; "see its page" where there is none.
    size : int, optional
        Bytes, rounded as its source rounds them; None where the source is silent.
    sha256 : str, optional
        None where the source publishes none.
    url : str, optional
        Where a program can download it; None where only a browser can.
    folder : str, optional
        The folder that an archive has to be unpacked into.
    """

    name: str
    file: str
    purpose: str
    load: str
    page: str
    licence: str
    size: int | None = None
    sha256: str | None = None
    url: str | None = None
    folder: str | None = None


_NASBENCH = "https://storage.googleapis.com/nasbench"
_DRIVE = "https://drive.google.com"

SOURCES = {
    source.name: source
    for source in (
        Source(
            "nb101-108",
            "nasbench_only108.tfrecord",
            "the 423,624 cells of NAS-Bench-101, 3 trainings each",
            "nb101",
            "https://github.com/google-research/nasbench",
            "Apache-2.0",
            499_000_000,
            "4c39c3936e36a85269881d659e44e61a245babcb72cb374eacacf75d0e5f4fd1",
            f"{_NASBENCH}/nasbench_only108.tfrecord",
        ),
        Source(
            "nb101-full",
            "nasbench_full.tfrecord",
            "the same, and trainings of 4, 12 and 36 epochs",
            "nb101",
            "https://github.com/google-research/nasbench",
            "Apache-2.0",
            1_950_000_000,
            "3d64db8180fb1b0207212f9032205064312b6907a3bbc81eabea10db2f5c7e9c",
            f"{_NASBENCH}/nasbench_full.tfrecord",
        ),
        Source(
            "nats-tss",
            "NATS-tss-v1_0-3ffb9-simple.tar",
            "the 15,625 cells of NAS-Bench-201 on 3 data sets",
            "nats",
            f"{_DRIVE}/file/d/17_saCsj_krKjlCBLOJEpNtzPXArMCqxU/view",
            "MIT",
            folder="NATS-tss-v1_0-3ffb9-simple",
        ),
        Source(
            "nb201-pth",
            "NAS-Bench-201-v1_1-096897.pth",
            "the same in an older file that takes much memory",
            "nats",
            f"{_DRIVE}/open?id=16Y0UwGisiouVRxW-W5hEtbxmcHw_0hF_",
            "MIT",
            4_700_000_000,
        ),
        Source(
            "nb301",
            "the archive NAS-Bench-301 Dataset v1.0",
            "networks of the DARTS space, trained for NAS-Bench-301",
            "nb301",
            "https://figshare.com/articles/dataset/NAS-Bench-301_Dataset_v1_0/13246952",
            "see its page",
            folder="nb301",
        ),
        Source(
            "gennape",
            "CG_data.zip",
            "computation graphs and accuracies, by GENNAPE's authors",
            "gennape",
            f"{_DRIVE}/drive/folders/1nTj8g6XbIU_PYvOBaXjylBHmgo-3okra",
            "MIT",
            folder="gennape",
        ),
        *(
            Source(
                f"zero-cost-{number}",
                f"zc_nasbench{number}.json",
                f"13 zero-cost proxies of NAS-Bench-{number}, by NASLib",
                "zero_cost",
                f"{_DRIVE}/file/d/{key}/view",
                "Apache-2.0",
            )
            for number, key in {
                101: "1Rkse44EWgYdBS34iyhjSs9Y2l0fxPCpU",
                201: "1R7n7GpFHAjUZpPISzbhxH0QjubnvZM5H",
                301: "1RddgmwqjWJ1czGT8gEPB8qqhUHazp92G",
            }.items()
        ),
    )
}
"""By name. The addresses on Google Drive are those of the projects' own pages and scripts."""
