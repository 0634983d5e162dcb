from jaxstyle._common.huge_pages import *
