"""The built-in tables: what each is, where it comes from, and how it is coded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cfair.errors import DataError, nearest

__all__ = ["TableInfo", "builtin_path", "builtin_tables"]

FOLDER = Path(__file__).parent / "builtin"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableInfo:
    """What a built-in table is.

    Args:
        name: by which ``data:`` and ``--data`` find it.
        rows: people, or communities.
        columns: how many.
        about: what it holds, in one sentence.
        source: who collected and who published it.
        licence: under which it may be passed on.
        codings: column -> what its values mean, where the name does not say it.
        means: column -> its mean, by which to recognise the table.
        cautions: what to know before drawing conclusions.
    """

    name: str
    rows: int
    columns: int
    about: str
    source: str
    licence: str
    codings: Mapping[str, str]
    means: Mapping[str, float]
    cautions: tuple[str, ...] = field(default=())


TABLES = (
    TableInfo(
        name="law_school",
        rows=21_791,
        columns=6,
        about="Law students of 1991: admission figures, first-year average and bar examination",
        source="LSAC National Longitudinal Bar Passage Study (Wightman 1998), the public extract used by Kusner et al. (2017)",
        licence="public research extract; no licence is stated",
        codings={
            "race": "8 levels, 18,285 rows White",
            "lsat": "admission test, 11 to 48; 9.3 % of the rows are fractional",
            "ugpa": "undergraduate grade point average, 0 to 4.2",
            "zfya": "first-year average, standardised within the school",
            "passed_bar": "1 = passed the bar examination",
        },
        means={"zfya": 0.0964, "passed_bar": 0.8884},
    ),
    TableInfo(
        name="compas",
        rows=6_167,
        columns=10,
        about="Defendants of Broward County, Florida, 2013-2014: criminal history, COMPAS score and arrest within two years",
        source="ProPublica, COMPAS analysis (2016): the two-year file with their filters",
        licence="public records published by ProPublica; no licence is stated",
        codings={"race": "caucasian or non_caucasian", "decile_score": "COMPAS score, 1 to 10", "two_year_recid": "1 = charged again"},
        means={"two_year_recid": 0.4555},
        cautions=("a new charge is recorded where people are policed, not where crime is done",),
    ),
    TableInfo(
        name="adult",
        rows=45_222,
        columns=15,
        about="Adults in the 1994 US census: work, education, family, and whether income exceeds 50,000 dollars",
        source="UCI Machine Learning Repository, Adult (Becker & Kohavi 1996); rows with missing values are left out",
        licence="CC BY 4.0",
        codings={"fnlwgt": "survey weight", "education_num": "years of education, in order", "income_over_50k": "1 = above 50,000 dollars"},
        means={"income_over_50k": 0.2478},
    ),
    TableInfo(
        name="german",
        rows=1_000,
        columns=22,
        about="Applicants for credit at a German bank, and who turned out a bad risk",
        source="UCI Machine Learning Repository, Statlog German Credit (Hofmann 1994)",
        licence="CC BY 4.0",
        codings={
            "sex": "1 = male",
            "age": "1 = over 25",
            "sex_age": "sex times age",
            "credit_label": "1 = bad risk",
            "status, credit_history, ...": "UCI's attribute codes, A11 and so on",
        },
        means={"credit_label": 0.3},
        cautions=("its coding of sex is known to be partly wrong (Groemping 2019)",),
    ),
    TableInfo(
        name="berkeley",
        rows=4_526,
        columns=3,
        about="Applications for graduate study at Berkeley, autumn 1973, six largest departments: who applied where, and was admitted",
        source="Bickel, Hammel & O'Connell (1975), Science 187, 398-404; one row per application, from the published counts",
        licence="published counts; no licence is stated",
        codings={"sex": "male or female", "department": "A to F, as published, without their names", "admitted": "1 = admitted"},
        means={"admitted": 0.3878},
        cautions=("six of some hundred departments, and nothing of an applicant but sex and department",),
    ),
    TableInfo(
        name="stop_and_frisk",
        rows=12_347,
        columns=53,
        about="Stops by the New York police in 2016: who was stopped, for what reasons, and what followed",
        source="New York City Police Department, Stop, Question and Frisk data, 2016",
        licence="public records of the City of New York; no licence is stated",
        codings={
            "race": "black or other",
            "arstmade": "1 = arrested",
            "pf_*": "1 = that kind of force was used",
            "cs_*, rf_*, ac_*": "1 = that reason was given for the stop, for the frisk, or in addition",
        },
        means={"arstmade": 0.2128},
        cautions=("whoever was never stopped is not in the table", "some ages and weights are plainly mistyped: 1 year, 999 pounds"),
    ),
    TableInfo(
        name="crime",
        rows=1_993,
        columns=150,
        about="Communities of the United States around 1990: census, police and violent crime; a continuous protected attribute",
        source="UCI Machine Learning Repository, Communities and Crime (Redmond 2002)",
        licence="CC BY 4.0",
        codings={
            "racepctblack": "share of the population that is African American, rescaled to 0 to 1",
            "ViolentCrimesPerPop": "violent crimes per head, rescaled to 0 to 1",
            "high_crime": "derived: 1 = ViolentCrimesPerPop above 0.25",
            ">0.06black": "derived: 1 = racepctblack above 0.06",
            "state_*": "derived: 1 = in the state of that census code",
        },
        means={"racepctblack": 0.1797, "high_crime": 0.3276},
    ),
)


def builtin_tables() -> tuple[TableInfo, ...]:
    """Every table that comes with cfair, in the order in which ``cfair data`` lists them."""
    return TABLES


def builtin_path(name: str) -> Path:
    """The parquet file of the built-in table ``name``.

    Raises:
        DataError: no built-in table has that name.
    """
    names = [table.name for table in TABLES]
    if name not in names:
        problem = "is neither a built-in table nor a path that ends in .csv or .parquet"
        raise DataError(where=f"'{name}'", problem=problem, mend=nearest(name, names))
    return FOLDER / f"{name}.parquet"
